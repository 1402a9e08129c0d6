//! What would become of what a person types: asked of the gateway, told as it is.

use std::time::{Duration, Instant};

use gateway_adapter::{Draft, Prospect};

use super::{Output, Session};
use crate::bucket::Rate;
use crate::dialled;
use crate::frame::{Code, ExplainRequest, ExplainedFrame, GatewayFrame, Refusal};

/// How often a client may ask: as fast as somebody types, and not so fast as to list who is there.
const EXPLAIN: Rate = Rate { burst: 10, every: Duration::from_millis(500) };

impl Session {
    /// The client asks. The answer comes by [`Self::handle_explained`].
    pub(super) fn handle_explain(&mut self, request: ExplainRequest, now: Instant) {
        let ExplainRequest { id, to, require, may_ask_dns } = request;
        if self.explained.take(EXPLAIN, now).is_err() {
            return self.refuse_explaining(id, Code::Overload, "That is too fast.".to_owned());
        }
        match dialled::read(&to) {
            Ok((to, dialled)) => {
                let origin = self.birth.who.origin();
                let draft = Draft { origin, to, dialled, require, may_ask_dns };
                self.outputs.push_back(Output::Explain(id, Box::new(draft)));
            }
            Err(fault) => self.refuse_explaining(id, Code::BadAddress, fault.to_string()),
        }
    }

    /// The gateway has answered.
    pub(crate) fn handle_explained(&mut self, id: String, outcome: Result<Prospect, String>) {
        match outcome {
            Ok(prospect) => {
                let frame = ExplainedFrame::new(id, prospect);
                self.send(&GatewayFrame::Explained(Box::new(frame)));
            }
            Err(why) => self.refuse_explaining(id, Code::Overload, why),
        }
    }

    fn refuse_explaining(&mut self, id: String, code: Code, reason: String) {
        let refusal = Refusal { id: Some(id), ..Refusal::new(code, reason) };
        self.send(&GatewayFrame::error(refusal));
    }
}
