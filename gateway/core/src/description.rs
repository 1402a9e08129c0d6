//! Descriptions: what one side proposes or accepts. SDP and Jingle are renderings of it.
//!
//! A description holds what *we* understand; unknown attributes end at the leg.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use zeroize::{Zeroize, ZeroizeOnDrop};

/// A description that proposes (RFC 3264 §5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer(pub Description);

/// A description that accepts (RFC 3264 §6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer(pub Description);

/// What one side proposes or accepts: media lines, codecs, path, protection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// Session id and version of the `o=` line (RFC 8866 §5.2).
    pub session: (u64, u64),
    /// The media lines in their order, refused ones (port 0) included.
    pub media: Vec<MediaLine>,
    /// The mids of the one bundle group (RFC 9143); empty where there is none.
    pub bundle: Vec<String>,
    /// The describer does ICE lite (RFC 8445 §2.5).
    pub is_ice_lite: bool,
}

impl Description {
    /// The first audio line that is not refused.
    #[must_use]
    pub fn audio(&self) -> Option<&MediaLine> {
        self.media.iter().find(|line| line.kind == MediaKind::Audio && !line.is_refused())
    }

    /// The same, to be changed.
    pub fn audio_mut(&mut self) -> Option<&mut MediaLine> {
        self.media.iter_mut().find(|line| line.kind == MediaKind::Audio && !line.is_refused())
    }

    /// The direction of the audio, or inactive where there is none.
    #[must_use]
    pub fn direction(&self) -> Direction {
        self.audio().map_or(Direction::Inactive, |line| line.direction)
    }
}

/// What a media line is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MediaKind {
    /// Sound.
    Audio,
    /// Moving pictures.
    Video,
    /// Data channels and the like.
    Application,
    /// Any other token.
    Other(String),
}

impl MediaKind {
    /// The token of the `m=` line.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Audio => "audio",
            Self::Video => "video",
            Self::Application => "application",
            Self::Other(token) => token,
        }
    }

    /// The kind of that token.
    #[must_use]
    pub fn parse(token: &str) -> Self {
        match token {
            "audio" => Self::Audio,
            "video" => Self::Video,
            "application" => Self::Application,
            other => Self::Other(other.to_owned()),
        }
    }
}

/// Who sends (RFC 8866 §6.7), seen from the describer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// Both ways.
    #[default]
    SendRecv,
    /// The describer only sends: it holds the other side (RFC 3264 §8.4).
    SendOnly,
    /// The describer only receives.
    RecvOnly,
    /// Neither.
    Inactive,
}

impl Direction {
    /// The attribute's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }

    /// The same seen from the other side.
    #[must_use]
    pub const fn reversed(self) -> Self {
        match self {
            Self::SendOnly => Self::RecvOnly,
            Self::RecvOnly => Self::SendOnly,
            Self::SendRecv | Self::Inactive => self,
        }
    }

    /// What is left when both this and the other hold (RFC 3264 §6.1).
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self::of(self.sends() && other.sends(), self.receives() && other.receives())
    }

    /// From its two halves.
    #[must_use]
    pub const fn of(sends: bool, receives: bool) -> Self {
        match (sends, receives) {
            (true, true) => Self::SendRecv,
            (true, false) => Self::SendOnly,
            (false, true) => Self::RecvOnly,
            (false, false) => Self::Inactive,
        }
    }

    /// The describer sends.
    #[must_use]
    pub const fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    /// The describer receives.
    #[must_use]
    pub const fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }
}

/// One media line with all that belongs to it; session-level attributes are already spread here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaLine {
    /// Sound, pictures or data.
    pub kind: MediaKind,
    /// Transport protocol token, like `RTP/SAVP` or `UDP/TLS/RTP/SAVPF`.
    pub proto: String,
    /// Port of the `m=` line; 0 refuses the line (RFC 3264 §6).
    pub port: u16,
    /// Address of the `c=` line that counts here.
    pub address: Option<IpAddr>,
    /// Where RTCP goes when it is neither multiplexed nor on the next port (RFC 3605).
    pub rtcp: Option<(u16, Option<IpAddr>)>,
    /// RTP and RTCP share a port (RFC 5761).
    pub rtcp_mux: bool,
    /// Identification within the description (RFC 5888).
    pub mid: Option<String>,
    /// Who sends.
    pub direction: Direction,
    /// Formats with what is known of them, in order of preference.
    pub codecs: Vec<Codec>,
    /// The format tokens of the `m=` line as they stand, so that a refusal can repeat them.
    pub formats: Vec<String>,
    /// Milliseconds of sound in a packet, when asked for.
    pub ptime_ms: Option<u32>,
    /// SDES keys on offer (RFC 4568), as they stand after `a=crypto:`.
    pub crypto: Vec<CryptoLine>,
    /// Certificate fingerprints (RFC 8122).
    pub fingerprints: Vec<Fingerprint>,
    /// Who opens the DTLS connection (RFC 4145, RFC 5763 §5).
    pub setup: Option<Setup>,
    /// ICE credentials (RFC 8839 §5.4).
    pub ice: Option<IceCredentials>,
    /// Candidates known when this was written.
    pub candidates: Vec<Candidate>,
    /// No more candidates will follow.
    pub end_of_candidates: bool,
    /// The describer trickles candidates (RFC 8840 §4.1).
    pub trickle: bool,
    /// The sender's SSRC and CNAME, when told (RFC 5576).
    pub ssrc: Option<(u32, String)>,
    /// Stream and track of WebRTC (RFC 8830), when told.
    pub msid: Option<String>,
    /// ZRTP Hello hashes (RFC 6189 §8), version and hash as they stand.
    pub zrtp_hashes: Vec<String>,
    /// SCTP port and largest message of data channels (RFC 8841).
    pub sctp: Option<(u16, u32)>,
}

impl MediaLine {
    /// An audio line with nothing in it yet.
    #[must_use]
    pub fn audio(proto: &str) -> Self {
        Self::new(MediaKind::Audio, proto)
    }

    /// A line with nothing in it yet.
    #[must_use]
    pub fn new(kind: MediaKind, proto: &str) -> Self {
        Self {
            kind,
            proto: proto.to_owned(),
            port: 9,
            address: None,
            rtcp: None,
            rtcp_mux: false,
            mid: None,
            direction: Direction::SendRecv,
            codecs: Vec::new(),
            formats: Vec::new(),
            ptime_ms: None,
            crypto: Vec::new(),
            fingerprints: Vec::new(),
            setup: None,
            ice: None,
            candidates: Vec::new(),
            end_of_candidates: false,
            trickle: false,
            ssrc: None,
            msid: None,
            zrtp_hashes: Vec::new(),
            sctp: None,
        }
    }

    /// The refusal of a line: the same kind, protocol and formats with port 0.
    #[must_use]
    pub fn refusal(of: &Self) -> Self {
        let mut line = Self::new(of.kind.clone(), &of.proto);
        line.port = 0;
        line.formats.clone_from(&of.formats);
        line.mid.clone_from(&of.mid);
        line.direction = Direction::Inactive;
        line
    }

    /// Port 0 says no, unless a bundle carries the line (RFC 9143 §7.1.3: `bundle-only`).
    #[must_use]
    pub const fn is_refused(&self) -> bool {
        self.port == 0
    }

    /// Where RTP goes, if an address is known.
    #[must_use]
    pub fn rtp_address(&self) -> Option<SocketAddr> {
        self.address.map(|ip| SocketAddr::new(ip, self.port))
    }

    /// Where RTCP goes: the same port when multiplexed, as told, or the next (RFC 3550 §11).
    #[must_use]
    pub fn rtcp_address(&self) -> Option<SocketAddr> {
        if self.rtcp_mux {
            return self.rtp_address();
        }
        match self.rtcp {
            Some((port, ip)) => ip.or(self.address).map(|ip| SocketAddr::new(ip, port)),
            None => self.address.map(|ip| SocketAddr::new(ip, self.port.saturating_add(1))),
        }
    }

    /// The codec of telephone events (RFC 4733) at that clock, or at any.
    #[must_use]
    pub fn telephone_event(&self, clock_hz: Option<u32>) -> Option<&Codec> {
        self.codecs.iter().find(|codec| {
            codec.is_telephone_event() && clock_hz.is_none_or(|hz| hz == codec.clock_hz)
        })
    }

    /// The first codec that carries sound.
    #[must_use]
    pub fn first_audio_codec(&self) -> Option<&Codec> {
        self.codecs.iter().find(|codec| codec.carries_sound())
    }
}

/// One RTP payload format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Codec {
    /// RTP payload type, 0 to 127.
    pub payload_type: u8,
    /// Encoding name, as registered; compared without case.
    pub name: String,
    /// RTP clock in Hz.
    pub clock_hz: u32,
    /// Audio channels, 1 where not told.
    pub channels: u8,
    /// Format parameters as they stand.
    pub fmtp: Option<String>,
}

impl Codec {
    /// A codec with one channel and no parameters.
    #[must_use]
    pub fn new(payload_type: u8, name: &str, clock_hz: u32) -> Self {
        Self { payload_type, name: name.to_owned(), clock_hz, channels: 1, fmtp: None }
    }

    /// Same encoding, clock and channels: packets of one are packets of the other, but for the
    /// payload type.
    #[must_use]
    pub fn is_same_encoding(&self, other: &Self) -> bool {
        self.name.eq_ignore_ascii_case(&other.name)
            && self.clock_hz == other.clock_hz
            && self.channels == other.channels
    }

    /// Digits, not sound (RFC 4733).
    #[must_use]
    pub fn is_telephone_event(&self) -> bool {
        self.name.eq_ignore_ascii_case("telephone-event")
    }

    /// Neither digits, comfort noise, redundancy nor retransmission.
    #[must_use]
    pub fn carries_sound(&self) -> bool {
        !["telephone-event", "CN", "red", "rtx", "ulpfec", "flexfec-03"]
            .iter()
            .any(|other| self.name.eq_ignore_ascii_case(other))
    }
}

/// One `a=crypto` line: it holds a master key, so it is zeroed on drop and hidden in logs.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct CryptoLine(pub String);

impl fmt::Debug for CryptoLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("crypto(hidden)")
    }
}

/// The hash of a certificate (RFC 8122 §5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// Hash function in lower case, like `sha-256`.
    pub hash: String,
    /// The hash.
    pub bytes: Vec<u8>,
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.hash)?;
        for (at, byte) in self.bytes.iter().enumerate() {
            write!(f, "{}{byte:02X}", if at == 0 { "" } else { ":" })?;
        }
        Ok(())
    }
}

/// Who opens the connection (RFC 4145 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setup {
    /// The describer opens it.
    Active,
    /// The describer waits.
    Passive,
    /// Either; only in offers.
    ActPass,
    /// Not now.
    HoldConn,
}

impl Setup {
    /// The word of the attribute.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Passive => "passive",
            Self::ActPass => "actpass",
            Self::HoldConn => "holdconn",
        }
    }
}

/// User fragment and password of ICE; the password is hidden in logs and zeroed on drop.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct IceCredentials {
    /// User fragment.
    pub ufrag: String,
    /// Password.
    pub pwd: String,
}

impl fmt::Debug for IceCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ice({})", self.ufrag)
    }
}

/// One ICE candidate as it stands after `a=candidate:` (RFC 8839 §5.1), with the media line it is
/// for. An empty text ends the candidates.
#[derive(Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The text after `candidate:`.
    pub text: String,
    /// The mid it is for, when told.
    pub mid: Option<String>,
    /// The index of the media line it is for, when told.
    pub line: Option<u16>,
    /// The ICE generation it is for, when told.
    pub ufrag: Option<String>,
}

impl Candidate {
    /// A candidate for the first media line.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self { text: text.to_owned(), mid: None, line: Some(0), ufrag: None }
    }

    /// Whether this says that no more will follow.
    #[must_use]
    pub const fn is_end(&self) -> bool {
        self.text.is_empty()
    }
}

/// A candidate tells an address of a person: not for logs.
impl fmt::Debug for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_end() { "candidate(end)" } else { "candidate(hidden)" })
    }
}
