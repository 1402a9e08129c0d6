//! [`GatewayFrame`] to text.

use gateway_adapter::{Prospect, WayAhead};
use gateway_core::Cause;
use gateway_core::description::Candidate;
use gateway_core::leg::{Heard, Trouble};
use gateway_core::route::Require;
use gateway_core::security::Report;
use serde::Serialize;

use super::messages::MessageFrame;
use super::{Refusal, tidy};

/// A frame of ours.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub(crate) enum GatewayFrame {
    Welcome(Box<Welcome>),
    IceServers {
        ice_servers: Vec<IceServerFrame>,
    },
    Error(ErrorFrame),
    Incoming(Box<IncomingFrame>),
    Ringing {
        call: String,
    },
    Progress {
        call: String,
        sdp: String,
    },
    Answer {
        call: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        sdp: Option<String>,
    },
    Offer {
        call: String,
        sdp: String,
    },
    Candidate {
        call: String,
        candidate: Option<CandidateBody>,
    },
    Digit {
        call: String,
        digit: char,
        duration_ms: u64,
    },
    Held {
        call: String,
    },
    Resumed {
        call: String,
    },
    Transferred {
        call: String,
        to: String,
        outcome: &'static str,
    },
    Security(Box<SecurityFrame>),
    Quality {
        call: String,
        mos: f32,
        loss: f32,
        jitter_ms: f32,
        rtt_ms: f32,
    },
    Trouble {
        call: String,
        leg: String,
        direction: &'static str,
        why: String,
    },
    End {
        call: String,
        cause: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    Message(Box<MessageFrame>),
    Status {
        /// The sender's own id.
        id: String,
        /// The gateway's, by which the sender's other devices know it.
        #[serde(skip_serializing_if = "Option::is_none")]
        message: Option<String>,
        /// The thread it is part of, where that is told for the first time.
        #[serde(skip_serializing_if = "Option::is_none")]
        conversation: Option<String>,
        status: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    Composing {
        with: String,
        on: bool,
    },
    Explained(Box<ExplainedFrame>),
}

/// What would become of what was typed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct ExplainedFrame {
    pub(crate) id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) class: Option<String>,
    pub(crate) ways: Vec<WayFrame>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) refusal: Option<String>,
}

/// One way a call would take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct WayFrame {
    pub(crate) network: String,
    pub(crate) level: String,
    pub(crate) notes: Vec<String>,
}

impl ExplainedFrame {
    pub(crate) fn new(id: String, prospect: Prospect) -> Self {
        let Prospect { kind, text, class, ways, refusal } = prospect;
        let way = |way: WayAhead| WayFrame {
            network: way.network,
            level: way.security,
            notes: way.notes,
        };
        Self { id, kind, text, class, ways: ways.into_iter().map(way).collect(), refusal }
    }
}

/// The session begins or goes on.
#[derive(Clone, PartialEq, Serialize)]
pub(crate) struct Welcome {
    pub(crate) session: String,
    /// The secret that takes the session up again.
    pub(crate) resume: String,
    pub(crate) resume_s: u64,
    pub(crate) address: String,
    pub(crate) ice_servers: Vec<IceServerFrame>,
    pub(crate) networks: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) resumed: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) received: Option<u64>,
}

/// Hides the secret.
impl std::fmt::Debug for Welcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Welcome").field("resumed", &self.resumed).finish_non_exhaustive()
    }
}

/// One `RTCIceServer` of the W3C WebRTC recommendation.
#[derive(Clone, PartialEq, Serialize)]
pub(crate) struct IceServerFrame {
    pub(crate) urls: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) credential: Option<String>,
}

/// Hides the credential.
impl std::fmt::Debug for IceServerFrame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IceServerFrame").field("urls", &self.urls).finish_non_exhaustive()
    }
}

/// Something is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct ErrorFrame {
    pub(crate) code: &'static str,
    pub(crate) reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) call: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<String>,
}

/// Somebody calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct IncomingFrame {
    pub(crate) call: String,
    pub(crate) from: String,
    pub(crate) to: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) display: Option<String>,
    pub(crate) verified: bool,
    pub(crate) require: &'static str,
    pub(crate) sdp: String,
}

/// How a call is protected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct SecurityFrame {
    pub(crate) call: String,
    pub(crate) level: &'static str,
    pub(crate) verified: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fingerprints: Option<Fingerprints>,
    pub(crate) legs: Vec<LegFrame>,
    pub(crate) keys: Vec<String>,
}

/// Certificate fingerprints as the receiver sees them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Fingerprints {
    pub(crate) local: String,
    pub(crate) remote: String,
}

/// How one leg is protected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct LegFrame {
    pub(crate) network: String,
    pub(crate) protection: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) suite: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sas: Option<String>,
}

/// `RTCIceCandidateInit` of the W3C WebRTC recommendation.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CandidateBody {
    candidate: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    sdp_mid: Option<String>,
    #[serde(rename = "sdpMLineIndex", skip_serializing_if = "Option::is_none")]
    sdp_m_line_index: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    username_fragment: Option<String>,
}

/// A candidate tells an address of a person: not for logs.
impl std::fmt::Debug for CandidateBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("candidate(hidden)")
    }
}

impl CandidateBody {
    /// The rendering of a candidate; none for the end of them.
    pub(crate) fn of(candidate: &Candidate) -> Option<Self> {
        if candidate.is_end() {
            return None;
        }
        // A browser needs one of the two to know the media line; the first is the bundle's.
        let line =
            if candidate.mid.is_none() { candidate.line.or(Some(0)) } else { candidate.line };
        Some(Self {
            candidate: format!("candidate:{}", candidate.text),
            sdp_mid: candidate.mid.clone(),
            sdp_m_line_index: line,
            username_fragment: candidate.ufrag.clone(),
        })
    }
}

impl GatewayFrame {
    /// The text for the wire.
    pub(crate) fn render(&self) -> String {
        let text =
            serde_json::to_string(self).expect("frames have text keys and no fallible members");
        #[cfg(test)]
        super::schema::assert_gateway(&text);
        text
    }

    /// The answer to what is refused.
    pub(crate) fn error(refusal: Refusal) -> Self {
        let Refusal { code, reason, call, id } = refusal;
        Self::Error(ErrorFrame { code: code.as_str(), reason, call, id })
    }

    /// The end of a call.
    pub(crate) fn end(call: &str, cause: Cause, reason: Option<&str>) -> Self {
        Self::End { call: call.to_owned(), cause: cause.as_str(), reason: reason.map(tidy) }
    }

    /// How a call is protected.
    pub(crate) fn security(call: &str, report: Report) -> Self {
        let leg = |leg: gateway_core::security::LegSecurity| LegFrame {
            network: leg.network,
            protection: leg.protection.as_str(),
            suite: leg.suite,
            sas: leg.sas,
        };
        Self::Security(Box::new(SecurityFrame {
            call: call.to_owned(),
            level: report.level.as_str(),
            verified: report.verified,
            fingerprints: report.fingerprints.map(|(local, remote)| Fingerprints { local, remote }),
            legs: report.legs.into_iter().map(leg).collect(),
            keys: report.keys,
        }))
    }

    /// How a call sounds. JSON has no way to write what is not a number: such a value is told as 0.
    pub(crate) fn quality(call: &str, heard: Heard) -> Self {
        let round = |value: f32, steps: f32| {
            if value.is_finite() { (value * steps).round() / steps } else { 0.0 }
        };
        Self::Quality {
            call: call.to_owned(),
            mos: round(heard.mos, 100.0),
            loss: round(heard.loss, 10_000.0),
            jitter_ms: round(heard.jitter_ms, 10.0),
            rtt_ms: round(heard.rtt_ms, 10.0),
        }
    }

    /// Something is wrong with the media of a leg.
    pub(crate) fn trouble(call: &str, trouble: Trouble) -> Self {
        Self::Trouble {
            call: call.to_owned(),
            leg: trouble.network,
            direction: if trouble.is_receive { "receive" } else { "send" },
            why: tidy(&trouble.why),
        }
    }
}

/// The word of what protection is asked for.
pub(crate) const fn require_word(require: Require) -> &'static str {
    match require {
        Require::Any => "any",
        Require::Encrypted => "encrypted",
        Require::EndToEnd => "e2ee",
    }
}
