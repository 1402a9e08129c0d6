//! What one session sent and received, so that a dropped socket loses nothing. Pure.
//!
//! ```text
//! note_sent --> [ .., 41, 42, 43 ] --the client has 41--> missing: 42, 43
//! ```
//!
//! Both sides count what they send after `hello` and `welcome` and keep the last thousand.

use std::collections::VecDeque;
use std::sync::Arc;

/// How many sent objects are kept.
pub(crate) const KEPT_OBJECTS: usize = 1000;

/// The client's count cannot be served: it lacks what is no longer kept, or has what was never sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gap;

/// Counts both directions and keeps what may have to be sent again.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    sent: u64,
    received: u64,
    kept: VecDeque<Arc<str>>,
}

impl Ledger {
    /// Counts and keeps one object, whether or not a socket is there to carry it.
    pub(crate) fn note_sent(&mut self, text: Arc<str>) {
        self.sent += 1;
        self.kept.push_back(text);
        if self.kept.len() > KEPT_OBJECTS {
            self.kept.pop_front();
        }
    }

    /// Counts one object of the client's, well-formed or not.
    pub(crate) const fn note_received(&mut self) {
        self.received += 1;
    }

    /// How many objects of the client's have come.
    pub(crate) const fn received(&self) -> u64 {
        self.received
    }

    /// How many objects were sent.
    pub(crate) const fn sent(&self) -> u64 {
        self.sent
    }

    /// The client has what was sent up to that number, so that it need not be kept.
    pub(crate) fn forget_until(&mut self, number: u64) {
        let lacking = self.sent.saturating_sub(number);
        let lacking = usize::try_from(lacking).unwrap_or(usize::MAX);
        self.kept.drain(..self.kept.len().saturating_sub(lacking));
    }

    /// What a client that has received so many objects lacks, oldest first. What it has is forgotten.
    ///
    /// # Errors
    /// The session cannot go on.
    pub(crate) fn missing(&mut self, received: u64) -> Result<Vec<Arc<str>>, Gap> {
        let lacking = self.sent.checked_sub(received).ok_or(Gap)?;
        let lacking = usize::try_from(lacking).map_err(|_| Gap)?;
        let known = self.kept.len().checked_sub(lacking).ok_or(Gap)?;
        self.kept.drain(..known);
        Ok(self.kept.iter().cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ledger(sent: usize) -> Ledger {
        let mut ledger = Ledger::default();
        for at in 0..sent {
            ledger.note_sent(at.to_string().into());
        }
        ledger
    }

    fn texts(missing: Result<Vec<Arc<str>>, Gap>) -> Vec<String> {
        missing.expect("no gap").iter().map(ToString::to_string).collect()
    }

    #[test]
    fn only_what_the_client_lacks_is_sent_again() {
        assert_eq!(texts(ledger(5).missing(3)), ["3", "4"]);
        assert_eq!(texts(ledger(5).missing(5)), Vec::<String>::new());
    }

    #[test]
    fn a_client_that_lacks_more_than_is_kept_cannot_go_on() {
        assert_eq!(texts(ledger(KEPT_OBJECTS + 1).missing(1)).len(), KEPT_OBJECTS);
        assert_eq!(ledger(KEPT_OBJECTS + 1).missing(0), Err(Gap));
    }

    #[test]
    fn a_client_that_claims_more_than_was_sent_cannot_go_on() {
        assert_eq!(ledger(5).missing(6), Err(Gap));
        assert_eq!(ledger(5).missing(u64::MAX), Err(Gap));
    }

    /// One step in the life of a session.
    #[derive(Clone, Debug)]
    enum Step {
        Send,
        /// The client says that it has all which has arrived.
        Forget,
        /// The socket drops after this many of the objects under way have arrived.
        DropAfter(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![4 => Just(Step::Send), 1 => Just(Step::Forget), 1 => (0_usize..6).prop_map(Step::DropAfter)]
    }

    proptest! {
        #[test]
        fn each_object_is_delivered_once_and_in_order(steps in prop::collection::vec(step(), 0..300)) {
            let mut ledger = Ledger::default();
            let (mut sent, mut delivered): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
            let mut under_way: Vec<String> = Vec::new();
            for step in steps {
                match step {
                    Step::Send => {
                        let text = sent.len().to_string();
                        ledger.note_sent(text.as_str().into());
                        sent.push(text.clone());
                        under_way.push(text);
                    }
                    Step::Forget => ledger.forget_until(delivered.len() as u64),
                    Step::DropAfter(arrived) => {
                        delivered.extend(under_way.drain(..).take(arrived));
                        under_way = texts(ledger.missing(delivered.len() as u64));
                    }
                }
            }
            delivered.append(&mut under_way);
            prop_assert_eq!(delivered, sent);
        }
    }
}
