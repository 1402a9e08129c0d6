//! One party of a call: its leg, its port, and what was agreed with it.

use std::time::Instant;

use crate::cause::Cause;
use crate::description::{Description, Direction, Offer};
use crate::ids::{LegId, TrunkId};
use crate::media::{Profile, Quality, Secured};
use crate::route::LegRoute;

/// How far a leg has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Life {
    /// A callee whose offer is being made; its adapter does not know it yet.
    Preparing,
    /// The caller before the answer, or a callee that has been dialled.
    Setup,
    /// A callee that rings.
    Ringing,
    /// Answered.
    Talking,
    /// Told to end.
    Ending,
    /// Ended, with its cause.
    Ended(Cause),
}

/// What goes on with this party's description. One thing at a time (RFC 3264 §4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Update {
    /// Nothing.
    Idle,
    /// Our port is making an offer.
    Making(Change),
    /// Our offer is with the peer.
    Offered(Change),
    /// Our port is answering this offer of the peer's.
    Answering(Box<Description>),
}

/// Why we make an offer within the call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// The far party asked that this one be held, or that the hold be over.
    Hold(bool),
    /// The far party's answer brought other codecs.
    Codecs(Box<Description>),
}

/// How far the answer to the caller's offer has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answering {
    /// Not asked of the port.
    No,
    /// Asked of the port.
    Asked,
    /// Given to the leg.
    Given,
}

/// One party of a call.
#[derive(Debug)]
pub(super) struct Party {
    pub(super) leg: LegId,
    pub(super) trunk: TrunkId,
    /// Who this is, as the other side is told when it asks who holds keys.
    pub(super) name: String,
    pub(super) profile: Profile,
    /// The route dialled, with the profiles not yet tried. `None` for the caller.
    pub(super) route: Option<LegRoute>,
    pub(super) life: Life,
    /// Whether the media plane has a port for it.
    pub(super) has_port: bool,
    /// How far our answer to its first offer has come. Callees answer ours instead.
    pub(super) answering: Answering,
    /// What we last told it, and what it last told us.
    pub(super) local: Option<Description>,
    pub(super) remote: Option<Description>,
    pub(super) update: Update,
    /// What to offer next, when what goes on is done.
    pub(super) wanted: Option<Change>,
    /// The far party asked that this one be held.
    pub(super) is_held: bool,
    pub(super) secured: Option<Secured>,
    pub(super) quality: Option<Quality>,
    /// Consent to send was lost; until when it may come back.
    pub(super) consent_until: Option<Instant>,
}

impl Party {
    pub(super) fn caller(
        leg: LegId,
        trunk: TrunkId,
        name: &str,
        profile: Profile,
        offer: Offer,
    ) -> Self {
        let mut party = Self::new(leg, trunk, name, profile);
        party.life = Life::Setup;
        party.remote = Some(offer.0);
        party
    }

    pub(super) fn callee(leg: LegId, mut route: LegRoute, profile: Profile) -> Self {
        route.profiles.retain(|other| *other != profile);
        let name = route.account.as_ref().map_or(route.to.name(), |account| account.as_str());
        let mut party = Self::new(leg, route.trunk.clone(), name, profile);
        party.route = Some(route);
        party
    }

    fn new(leg: LegId, trunk: TrunkId, name: &str, profile: Profile) -> Self {
        Self {
            leg,
            trunk,
            name: name.to_owned(),
            profile,
            route: None,
            life: Life::Preparing,
            has_port: false,
            answering: Answering::No,
            local: None,
            remote: None,
            update: Update::Idle,
            wanted: None,
            is_held: false,
            secured: None,
            quality: None,
            consent_until: None,
        }
    }

    /// Whether its end has not been reported.
    pub(super) const fn is_live(&self) -> bool {
        !matches!(self.life, Life::Ended(_))
    }

    /// Whether an adapter serves it and has not been told to end it.
    pub(super) const fn is_known_to_adapter(&self) -> bool {
        matches!(self.life, Life::Setup | Life::Ringing | Life::Talking)
    }

    /// Our direction towards it.
    pub(super) const fn direction(&self) -> Direction {
        if self.is_held { Direction::SendOnly } else { Direction::SendRecv }
    }

    /// Whether it holds us: it says that it will not receive.
    pub(super) fn holds(&self) -> bool {
        self.remote.as_ref().is_some_and(|remote| !remote.direction().receives())
    }

    /// Whether digits can travel in its media.
    pub(super) fn takes_telephone_events(&self) -> bool {
        [&self.local, &self.remote].into_iter().all(|side| {
            let audio = side.as_ref().and_then(Description::audio);
            audio.is_some_and(|line| line.telephone_event(None).is_some())
        })
    }
}
