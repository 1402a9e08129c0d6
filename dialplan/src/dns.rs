//! Asking the DNS: the only part of the dialplan that does IO.
//!
//! ```text
//! plan --questions--> resolve --all at once--> Resolver --cache?--> answer
//!      <--answers----                                   --else---> hickory --> servers
//! ```
//!
//! Each question has a deadline, and so have all questions of one call together. What was good
//! before the servers failed is used again for a while (RFC 8767); what DNSSEC calls bogus never is.
#![expect(clippy::disallowed_methods, reason = "a shell: it reads the clock and asks servers")]

pub mod cache;
mod hickory;
mod hosts;
pub mod servers;

use std::future::Future;
use std::time::{Duration, Instant};

use futures_util::future::join_all;

pub use hickory::{DnsFault, Resolver};

use crate::config::Targets;
use crate::explain::{Node, Step};
use crate::lookup::service::{self, Server, Service};
use crate::lookup::sip::{self, SipQuery, Target};
use crate::lookup::{Answer, Answers, Desk, Failure, LookupFault, Question};
use crate::plan::{Asking, Dialplan, Progress, Resolution};

/// Whoever answers questions.
pub trait Dns: Sync {
    /// The answer to one question. It may take its time: whoever asks has a deadline.
    fn ask(&self, question: &Question) -> impl Future<Output = Answer> + Send;
}

/// Plans until there is a resolution: at most `budget` is spent on the DNS, and what is missing then
/// counts as silence.
pub async fn resolve(
    plan: &Dialplan,
    asking: &Asking<'_>,
    dns: &impl Dns,
    budget: Duration,
) -> Resolution {
    let step = |answers: &Answers| match plan.plan(asking, answers) {
        Progress::Ask(questions) => Err(questions),
        Progress::Done(resolution) => Ok(*resolution),
    };
    drive(dns, budget, step).await
}

/// The targets of a SIP query (RFC 3263), for whoever sends requests.
///
/// # Errors
/// Why there are none.
pub async fn sip_targets(
    query: &SipQuery,
    policy: &Targets,
    seed: u64,
    dns: &impl Dns,
    budget: Duration,
) -> Result<Vec<Target>, LookupFault> {
    let step = |answers: &Answers| {
        let mut desk = Desk::new(answers, seed);
        let mut node = Node::new(Step::Note { text: String::new() });
        sip::targets(&mut desk, &mut node, query, policy).map_err(|_| desk.into_noted())
    };
    drive(dns, budget, step).await
}

/// The servers of a domain found by SRV alone: XMPP, and other Procom gateways.
///
/// # Errors
/// Why there are none.
pub async fn servers_of(
    service: Service,
    domain: &str,
    policy: &Targets,
    seed: u64,
    dns: &impl Dns,
    budget: Duration,
) -> Result<Vec<Server>, LookupFault> {
    let step = |answers: &Answers| {
        let mut desk = Desk::new(answers, seed);
        let mut node = Node::new(Step::Note { text: String::new() });
        service::servers(&mut desk, &mut node, service, domain, policy)
            .map_err(|_| desk.into_noted())
    };
    drive(dns, budget, step).await
}

/// Runs a look-up again and again with more answers. It ends: each round brings answers, and a desk
/// takes only so many questions.
async fn drive<T>(
    dns: &impl Dns,
    budget: Duration,
    step: impl Fn(&Answers) -> Result<T, Vec<Question>>,
) -> T {
    let mut answers = Answers::new();
    let deadline = Instant::now() + budget;
    loop {
        let questions = match step(&answers) {
            Ok(done) => return done,
            Err(questions) => questions,
        };
        let left = deadline.saturating_duration_since(Instant::now());
        let ask = async |question: &Question| {
            tokio::time::timeout(left, dns.ask(question))
                .await
                .unwrap_or(Answer::Failed(Failure::Timeout))
        };
        let found = join_all(questions.iter().map(ask)).await;
        answers.extend(questions.into_iter().zip(found));
    }
}
