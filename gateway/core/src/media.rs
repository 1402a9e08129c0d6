//! What the call machine and the media plane say to each other.
//!
//! ```text
//! Call --MediaCommand--> media plane (one shard per call)
//! Call <--MediaEvent---- media plane
//! ```

use std::net::IpAddr;
use std::time::Duration;

use crate::cause::Cause;
use crate::channel::{ChannelCommand, ChannelEvent};
use crate::description::{Answer, Candidate, Description, Direction, Offer};
use crate::ids::PortId;

/// How datagrams are secured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protection {
    /// Not at all.
    Clear,
    /// SRTP with keys in the signalling (RFC 4568).
    Sdes,
    /// SRTP with keys from a DTLS handshake (RFC 5764).
    Dtls,
    /// SRTP with keys agreed in the media (RFC 6189).
    Zrtp,
}

impl Protection {
    /// The word on the Procom wire, in metrics and configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Clear => "clear",
            Self::Sdes => "sdes",
            Self::Dtls => "dtls-srtp",
            Self::Zrtp => "zrtp",
        }
    }
}

/// How datagrams reach the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathKind {
    /// A signalled address, a socket of its own.
    Static,
    /// ICE on the shard's muxed socket (RFC 8445).
    Ice,
}

/// How a leg wants its digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Digits {
    /// In the media where telephone events were agreed, else in the signalling.
    Media,
    /// In the media as above, and each told in the signalling too: the leg cannot see its own media.
    MediaAndSignalling,
}

/// What a leg allows of its media. The media plane asks this, never which network it serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// How datagrams reach the peer, when we offer. In answers the peer's offer decides.
    pub path: PathKind,
    /// The protection we offer; the only ones accepted are in `accepts`.
    pub protection: Protection,
    /// The protections accepted in a peer's offer.
    pub accepts: Vec<Protection>,
    /// RTCP shares the port when we offer (always offered and accepted with ICE).
    pub rtcp_mux: bool,
    /// The peer's own address in signalling: RTP may be learned from it (security row 5).
    pub signalling_peer: Option<IpAddr>,
    /// SDES keys of this leg cross something other than TLS.
    pub keys_exposed: bool,
    /// Media may be answered before the callee does, so that ICE and DTLS are done in time.
    pub early_answer: bool,
    /// How this leg wants its digits.
    pub digits: Digits,
    /// Texts may be said over a data channel (RFC 8831), where path and protection allow it.
    pub channel: bool,
    /// After consent is lost (RFC 7675), how long the leg may take to come back.
    pub resume: Duration,
}

impl Profile {
    /// The profile of a WebRTC endpoint.
    #[must_use]
    pub fn webrtc(resume: Duration) -> Self {
        Self {
            path: PathKind::Ice,
            protection: Protection::Dtls,
            accepts: vec![Protection::Dtls],
            rtcp_mux: true,
            signalling_peer: None,
            keys_exposed: false,
            early_answer: true,
            digits: Digits::MediaAndSignalling,
            channel: true,
            resume,
        }
    }

    /// The profile of a phone with a signalled address.
    #[must_use]
    pub fn phone(protection: Protection, keys_exposed: bool) -> Self {
        Self {
            path: PathKind::Static,
            protection,
            accepts: vec![protection],
            rtcp_mux: false,
            signalling_peer: None,
            keys_exposed,
            early_answer: false,
            digits: Digits::Media,
            channel: false,
            resume: Duration::ZERO,
        }
    }

    /// Whether a leg of this profile, as we would offer it, keeps its keys off open wires.
    #[must_use]
    pub const fn is_encrypted(&self) -> bool {
        match self.protection {
            Protection::Clear => false,
            Protection::Sdes => !self.keys_exposed,
            Protection::Dtls | Protection::Zrtp => true,
        }
    }
}

/// What the call machine asks of the media plane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MediaCommand {
    /// Opens a port and makes an offer, with the codecs of `like` only, in its order.
    /// Answered by `Offered` or `Failed`.
    Offer {
        /// The new port.
        port: PortId,
        /// What the leg allows.
        profile: Profile,
        /// The far side's description: only its codecs are offered.
        like: Option<Description>,
    },
    /// Applies a peer's answer to our last offer; may come again until final (forked 183s).
    /// Silence is consent; `Failed` if it cannot be.
    Accept {
        /// The port that offered.
        port: PortId,
        /// The peer's answer.
        answer: Answer,
        /// Whether another may follow.
        is_final: bool,
    },
    /// Opens a port, or updates it, by a peer's offer; codecs limited to those of `like`.
    /// Answered by `Answered` or `Failed`; a failed update leaves the port as it was.
    Answer {
        /// The port, new or not.
        port: PortId,
        /// What the leg allows.
        profile: Profile,
        /// The peer's offer.
        offer: Offer,
        /// The far side's description.
        like: Option<Description>,
    },
    /// Makes a new offer on an open port. Answered by `Offered` or `Failed`.
    Reoffer {
        /// The port.
        port: PortId,
        /// Our direction from now on.
        direction: Direction,
        /// The far side's description, when the codecs are to change.
        like: Option<Description>,
    },
    /// The last offer of this port was refused: what stood before stands again.
    Rollback {
        /// The port.
        port: PortId,
    },
    /// A candidate of the peer's.
    Candidate {
        /// The port.
        port: PortId,
        /// The candidate.
        candidate: Candidate,
    },
    /// Sends a digit as telephone event (RFC 4733).
    Digit {
        /// The port that sends it.
        port: PortId,
        /// `0`-`9`, `*`, `#`, `A`-`D`.
        digit: char,
        /// How long it is pressed.
        duration: Duration,
    },
    /// Something for the port's data channel.
    Channel {
        /// The port.
        port: PortId,
        /// What.
        command: ChannelCommand,
    },
    /// Joins two ports, or one with itself (the echo). What either was joined to before is left.
    Join {
        /// One port.
        a: PortId,
        /// The other.
        b: PortId,
    },
    /// Undoes a join.
    Leave {
        /// Either of the ports.
        port: PortId,
    },
    /// Closes a port; its keys are zeroed. Nothing is said of it afterwards.
    Close {
        /// The port.
        port: PortId,
    },
}

impl MediaCommand {
    /// The port this is about.
    #[must_use]
    pub const fn port(&self) -> PortId {
        match self {
            Self::Offer { port, .. }
            | Self::Accept { port, .. }
            | Self::Answer { port, .. }
            | Self::Reoffer { port, .. }
            | Self::Rollback { port }
            | Self::Candidate { port, .. }
            | Self::Digit { port, .. }
            | Self::Channel { port, .. }
            | Self::Join { a: port, .. }
            | Self::Leave { port }
            | Self::Close { port } => *port,
        }
    }
}

/// What the media plane tells of a port.
#[derive(Clone, Debug, PartialEq)]
pub enum MediaEvent {
    /// The offer asked for.
    Offered(PortId, Offer),
    /// The answer asked for.
    Answered(PortId, Answer),
    /// What was asked cannot be; with a sentence for a person.
    Failed(PortId, Cause, String),
    /// A candidate of ours, or the end of them.
    Candidate(PortId, Candidate),
    /// The port can send and receive under this protection.
    Secured(PortId, Secured),
    /// The peer pressed a digit in the media.
    Digit(PortId, char, Duration),
    /// Something became of the port's data channel.
    Channel(PortId, ChannelEvent),
    /// Sound was expected and none came for this long; told once until `Heard`.
    Quiet(PortId, Duration),
    /// Sound comes again after `Quiet`.
    Heard(PortId),
    /// Nothing at all came for the media time-out though it was expected.
    Lost(PortId),
    /// Consent to send was lost (false) or given again (true); RFC 7675.
    Consent(PortId, bool),
    /// How the media does, every few seconds.
    Quality(PortId, Quality),
}

impl MediaEvent {
    /// The port this is about.
    #[must_use]
    pub const fn port(&self) -> PortId {
        match self {
            Self::Offered(port, _)
            | Self::Answered(port, _)
            | Self::Failed(port, ..)
            | Self::Candidate(port, _)
            | Self::Secured(port, _)
            | Self::Digit(port, ..)
            | Self::Channel(port, _)
            | Self::Quiet(port, _)
            | Self::Heard(port)
            | Self::Lost(port)
            | Self::Consent(port, _)
            | Self::Quality(port, _) => *port,
        }
    }
}

/// Under which protection a port works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secured {
    /// How datagrams are secured.
    pub protection: Protection,
    /// The suite by its registered name; empty for clear.
    pub suite: String,
    /// The short authentication string, with ZRTP.
    pub sas: Option<String>,
    /// Our and the peer's certificate fingerprints, with DTLS.
    pub fingerprints: Option<(String, String)>,
}

/// How one port's media did since the last report. Shares are from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quality {
    /// Share of the peer's packets that did not reach us.
    pub loss_in: f32,
    /// Share of our packets that did not reach the peer, as it reports (RFC 3550 §6.4.1).
    pub loss_out: Option<f32>,
    /// Interarrival jitter of what reached us, in milliseconds.
    pub jitter_ms: f32,
    /// Interarrival jitter of what reached the peer, as it reports.
    pub jitter_out_ms: Option<f32>,
    /// Round trip between the peer and us, in milliseconds.
    pub rtt_ms: Option<f32>,
    /// The codec heard, for the estimate of quality.
    pub codec: QualityCodec,
}

/// Codecs as the E-model knows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QualityCodec {
    /// PCMU or PCMA.
    G711,
    /// G.722.
    G722,
    /// Opus.
    Opus,
}
