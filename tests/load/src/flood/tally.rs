//! What honest requests got during a flood.

use std::time::{Duration, Instant};

use crate::relay::quantile;

/// Which of the honest requests.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Asker {
    /// A phone that was registered before the flood and registers again.
    KnownPhone,
    /// A phone that registers for the first time, from a port that the gateway does not know.
    NewPhone,
    /// A call of the trunk.
    TrunkInvite,
    /// The end of such a call.
    TrunkBye,
}

impl Asker {
    const ALL: [Self; 4] = [Self::KnownPhone, Self::NewPhone, Self::TrunkInvite, Self::TrunkBye];

    fn name(self) -> &'static str {
        match self {
            Self::KnownPhone => "REGISTER of known phones",
            Self::NewPhone => "REGISTER of new phones",
            Self::TrunkInvite => "INVITE of the trunk",
            Self::TrunkBye => "BYE of the trunk",
        }
    }
}

/// What one honest request came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum End {
    /// The answer it should get.
    Right,
    /// 503.
    Shed,
    /// Another answer, by its status.
    Wrong(u16),
    /// No final answer in time.
    Silent,
}

/// One honest request, with its answer to a challenge where there was one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outcome {
    pub(super) asker: Asker,
    pub(super) begun: Instant,
    pub(super) end: End,
    /// How often it had to be sent again.
    pub(super) repeats: u32,
    /// How many challenges it got beyond the first.
    pub(super) extra_challenges: u32,
    pub(super) took: Duration,
}

/// All honest requests that began during a flood.
pub(super) struct Tally(Vec<Outcome>);

impl Tally {
    pub(super) fn of(outcomes: impl Iterator<Item = Outcome>, from: Instant) -> Self {
        Self(outcomes.filter(|outcome| outcome.begun >= from).collect())
    }

    /// Prints a line for each kind, and says when one was not served.
    pub(super) fn report(&self, name: &str, faults: &mut Vec<String>) {
        for asker in Asker::ALL {
            let of = self.0.iter().filter(|outcome| outcome.asker == asker);
            let of: Vec<Outcome> = of.copied().collect();
            let count = |is: fn(End) -> bool| of.iter().filter(|one| is(one.end)).count();
            let right = count(|end| end == End::Right);
            let shed = count(|end| end == End::Shed);
            let silent = count(|end| end == End::Silent);
            let repeats: u32 = of.iter().map(|one| one.repeats).sum();
            let extra: u32 = of.iter().map(|one| one.extra_challenges).sum();
            let mut took: Vec<_> =
                of.iter().filter(|one| one.end == End::Right).map(|one| one.took).collect();
            took.sort_unstable();
            let ms = |share| quantile(&took, share).as_secs_f64() * 1e3;
            println!(
                "  {}: {right} of {} answered rightly, 503 to {shed}, nothing in 4 s to {silent}, \
                 else {}; sent again {repeats}, challenged again {extra}; ms: p50 {:.1}, p99 {:.1}",
                asker.name(),
                of.len(),
                wrong(&of),
                ms(0.5),
                ms(0.99)
            );
            if right != of.len() || of.is_empty() {
                faults.push(format!(
                    "{name}: {} of {} {} were not served",
                    of.len() - right,
                    of.len(),
                    asker.name()
                ));
            }
        }
    }
}

/// How many other answers there were, and the first of them.
fn wrong(of: &[Outcome]) -> String {
    let mut codes: Vec<u16> = of
        .iter()
        .filter_map(|one| match one.end {
            End::Wrong(code) => Some(code),
            End::Right | End::Shed | End::Silent => None,
        })
        .collect();
    let count = codes.len();
    codes.sort_unstable();
    codes.dedup();
    if count == 0 { "0".to_owned() } else { format!("{count} {codes:?}") }
}
