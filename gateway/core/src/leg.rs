//! What the switchboard and the adapters say about one leg. Events and commands mirror each other,
//! so that translation is nearly the identity.

use std::time::Duration;

use crate::address::Address;
use crate::cause::Cause;
use crate::channel::{ChannelCommand, ChannelEvent};
use crate::description::{Answer, Candidate, Offer};
use crate::ids::{AccountId, LegId, TrunkId};
use crate::media::Profile;
use crate::route::{Origin, OwnContact, Require};
use crate::security::Report;

/// A new leg that comes in from a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// The leg; its id is the first of its call's block.
    pub leg: LegId,
    /// Who calls, and how far that is proven.
    pub origin: Origin,
    /// Whom the caller asked for.
    pub to: Address,
    /// The text as the person typed it, where `to` was made from it.
    pub dialled: Option<String>,
    /// The caller's own record of the callee, where one came with the call.
    pub record: Option<OwnContact>,
    /// The caller's display name, unproven.
    pub display: Option<String>,
    /// What protection the caller asks for.
    pub require: Require,
    /// What the caller proposes.
    pub offer: Offer,
    /// What the leg allows of its media.
    pub profile: Profile,
    /// How many hops the call may still take, where the caller's network counts them; each network
    /// that counts takes one off as the call leaves by it.
    pub hops_left: Option<u8>,
}

/// Everything an adapter needs to ring somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dial {
    /// The trunk to dial by.
    pub trunk: TrunkId,
    /// Who calls.
    pub origin: Origin,
    /// Whom to ask for.
    pub to: Address,
    /// The location to ring, where the callee is a local account.
    pub contact: Option<String>,
    /// The account rung, if local.
    pub account: Option<AccountId>,
    /// The caller's display name.
    pub display: Option<String>,
    /// What protection the caller asks for.
    pub require: Require,
    /// What we propose.
    pub offer: Offer,
    /// What the leg allows of its media.
    pub profile: Profile,
    /// How many hops the call may still take, where the caller's network counts them; each network
    /// that counts takes one off as the call leaves by it.
    pub hops_left: Option<u8>,
}

/// What the switchboard asks of a leg.
#[derive(Clone, Debug, PartialEq)]
pub enum LegCommand {
    /// Ring somebody on a new leg.
    Dial(Box<Dial>),
    /// The callee rings.
    Ring,
    /// Media is set up before the callee answered. At most once.
    Progress(Answer),
    /// The callee answered; `None` where the answer was given by `Progress`.
    Answer(Option<Answer>),
    /// A new offer within the call. One at a time.
    Reoffer(Offer),
    /// The answer to this leg's own offer within the call.
    AnswerReoffer(Answer),
    /// This leg's own offer is refused; what stood before stands.
    RefuseReoffer(Cause),
    /// The far side holds the call, or this leg's own hold is done.
    Held,
    /// The hold is over.
    Resumed,
    /// A candidate of our port.
    Candidate(Candidate),
    /// The far side pressed a digit.
    Digit(char, Duration),
    /// Something became of this leg's data channel.
    Channel(ChannelEvent),
    /// How this leg's transfer went: the target and `None` when done, else why not.
    Transferred(Address, Option<Cause>),
    /// How the call is protected now.
    Security(Report),
    /// How the call sounds.
    Quality(Heard),
    /// Something is wrong with the media of a leg.
    Trouble(Trouble),
    /// The leg is over. Accepted in any state; answered by `Ended`.
    End(Cause, Option<String>),
}

/// What a leg tells the switchboard.
#[derive(Clone, Debug, PartialEq)]
pub enum LegEvent {
    /// The callee rings.
    Ringing,
    /// Early media: the callee's side is set up before it answered.
    Progress(Answer),
    /// The callee answered; `None` where the answer was given by `Progress`.
    Answered(Option<Answer>),
    /// The peer makes a new offer within the call.
    Reoffered(Offer),
    /// The peer accepts ours.
    ReofferAnswered(Answer),
    /// The peer refuses ours; what stood before stands.
    ReofferRefused(Cause),
    /// The peer asks that the far leg be held.
    Hold,
    /// The peer asks that the hold be over.
    Resume,
    /// A candidate of the peer's.
    Candidate(Candidate),
    /// The peer pressed a digit, in the signalling.
    Digit(char, Duration),
    /// Something for this leg's data channel.
    Channel(ChannelCommand),
    /// The peer asks that its place be taken by another.
    Transfer(Address),
    /// The leg is over. Exactly once, and nothing after it.
    Ended(Cause, Option<String>),
}

/// How a call sounds to one party, worse direction of the two.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Heard {
    /// Mean opinion score, 1 to 4.5 (ITU-T G.107).
    pub mos: f32,
    /// Share of packets lost, 0 to 1.
    pub loss: f32,
    /// Jitter in milliseconds.
    pub jitter_ms: f32,
    /// Round trip in milliseconds.
    pub rtt_ms: f32,
}

/// Something wrong with the media of a leg.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// The network of the leg.
    pub network: String,
    /// True: we do not get its media. False: it does not get ours.
    pub is_receive: bool,
    /// A sentence for a person.
    pub why: String,
}
