//! Text to description.

use std::net::IpAddr;

use super::{MAX_CANDIDATES, MAX_FORMATS, MAX_KEYS, MAX_MEDIA_LINES, MAX_SDP_BYTES, SdpFault};
use crate::description::{
    Candidate, Codec, CryptoLine, Description, Direction, Fingerprint, IceCredentials, MediaKind,
    MediaLine, Setup,
};

/// Reads an SDP.
///
/// # Errors
/// What is wrong, with the line it stands on.
pub fn parse(text: &str) -> Result<Description, SdpFault> {
    if text.len() > MAX_SDP_BYTES {
        return Err(SdpFault::TooLong);
    }
    if !text.starts_with("v=0") {
        return Err(SdpFault::NoVersion);
    }
    let mut reader = Reader::default();
    for (at, line) in text.lines().enumerate() {
        let line = line.strip_suffix('\r').unwrap_or(line);
        // RFC 8866 §9 allows no NUL and no bare CR in a value; nothing else that controls a
        // terminal or another parser is worth carrying either.
        if line.chars().any(|c| c.is_ascii_control() && c != '\t') {
            return Err(SdpFault::BadLine(at + 1));
        }
        let line = line.trim_end();
        if let Some((kind, value)) = line.split_once('=') {
            reader.line(kind, value).map_err(|fault| fault.at(at + 1))?;
        } else if !line.is_empty() {
            return Err(SdpFault::BadLine(at + 1));
        }
    }
    reader.finish()
}

enum LineFault {
    Bad,
    TooMany,
}

impl LineFault {
    const fn at(self, line: usize) -> SdpFault {
        match self {
            Self::Bad => SdpFault::BadLine(line),
            Self::TooMany => SdpFault::TooMany(line),
        }
    }
}

/// What stands above the first media line and holds for each that does not say otherwise.
#[derive(Default)]
struct SessionLevel {
    address: Option<IpAddr>,
    direction: Option<Direction>,
    fingerprints: Vec<Fingerprint>,
    setup: Option<Setup>,
    ufrag: Option<String>,
    pwd: Option<String>,
    trickle: bool,
    crypto: Vec<CryptoLine>,
}

/// A media line while it is read.
struct Draft {
    line: MediaLine,
    direction: Option<Direction>,
    ufrag: Option<String>,
    pwd: Option<String>,
}

#[derive(Default)]
struct Reader {
    description: Description,
    session: SessionLevel,
    drafts: Vec<Draft>,
}

impl Reader {
    fn line(&mut self, kind: &str, value: &str) -> Result<(), LineFault> {
        match kind {
            "o" => self.origin(value),
            "c" => self.connection(value),
            "m" => self.media(value),
            "a" => {
                let (name, value) = value.split_once(':').unwrap_or((value, ""));
                self.attribute(name, value.trim())
            }
            _ => Ok(()),
        }
    }

    fn origin(&mut self, value: &str) -> Result<(), LineFault> {
        let mut words = value.split_whitespace().skip(1);
        let mut number = || {
            let word = words.next().ok_or(LineFault::Bad)?;
            // Ids longer than 64 bits occur: they only need to be told apart.
            Ok(word.parse().unwrap_or_else(|_| {
                word.bytes()
                    .fold(0u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)))
            }))
        };
        self.description.session = (number()?, number()?);
        Ok(())
    }

    fn connection(&mut self, value: &str) -> Result<(), LineFault> {
        let address = value.split_whitespace().nth(2).ok_or(LineFault::Bad)?;
        // A TTL may follow a slash; a host name is not resolved: it gives no address.
        let address = address.split('/').next().unwrap_or(address).parse().ok();
        match self.drafts.last_mut() {
            Some(draft) => draft.line.address = address,
            None => self.session.address = address,
        }
        Ok(())
    }

    fn media(&mut self, value: &str) -> Result<(), LineFault> {
        if self.drafts.len() == MAX_MEDIA_LINES {
            return Err(LineFault::TooMany);
        }
        let mut words = value.split_whitespace();
        let mut word = || words.next().ok_or(LineFault::Bad);
        let (kind, port, proto) = (word()?, word()?, word()?);
        let port = port.split('/').next().unwrap_or(port).parse().map_err(|_| LineFault::Bad)?;
        let mut line = MediaLine::new(MediaKind::parse(kind), proto);
        line.port = port;
        line.formats = words.map(str::to_owned).collect();
        if line.formats.len() > MAX_FORMATS {
            return Err(LineFault::TooMany);
        }
        if proto.contains("RTP/") {
            line.codecs = line.formats.iter().filter_map(|word| static_codec(word)).collect();
        }
        self.drafts.push(Draft { line, direction: None, ufrag: None, pwd: None });
        Ok(())
    }

    fn attribute(&mut self, name: &str, value: &str) -> Result<(), LineFault> {
        if let Some(direction) = direction(name) {
            match self.drafts.last_mut() {
                Some(draft) => draft.direction = Some(direction),
                None => self.session.direction = Some(direction),
            }
            return Ok(());
        }
        match self.drafts.last_mut() {
            Some(draft) => draft.attribute(name, value),
            None => self.session_attribute(name, value),
        }
    }

    fn session_attribute(&mut self, name: &str, value: &str) -> Result<(), LineFault> {
        let session = &mut self.session;
        match name {
            "group" => {
                if let Some(mids) = value.strip_prefix("BUNDLE") {
                    self.description.bundle =
                        mids.split_whitespace().take(MAX_MEDIA_LINES).map(str::to_owned).collect();
                }
            }
            "ice-lite" => self.description.is_ice_lite = true,
            "ice-ufrag" => session.ufrag = Some(value.to_owned()),
            "ice-pwd" => session.pwd = Some(value.to_owned()),
            "ice-options" => session.trickle = value.split_whitespace().any(|o| o == "trickle"),
            "setup" => session.setup = setup(value),
            "fingerprint" => keep(&mut session.fingerprints, fingerprint(value)?)?,
            "crypto" => keep(&mut session.crypto, CryptoLine(value.to_owned()))?,
            _ => {}
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Description, SdpFault> {
        if self.drafts.is_empty() {
            return Err(SdpFault::NoMedia);
        }
        let session = self.session;
        for draft in self.drafts {
            self.description.media.push(draft.finish(&session));
        }
        Ok(self.description)
    }
}

impl Draft {
    fn attribute(&mut self, name: &str, value: &str) -> Result<(), LineFault> {
        let line = &mut self.line;
        match name {
            "rtpmap" => rtpmap(line, value)?,
            "fmtp" => fmtp(line, value),
            "mid" => line.mid = Some(value.to_owned()),
            "ptime" => line.ptime_ms = value.parse().ok(),
            "rtcp-mux" => line.rtcp_mux = true,
            "rtcp" => line.rtcp = rtcp(value),
            "crypto" => keep(&mut line.crypto, CryptoLine(value.to_owned()))?,
            "fingerprint" => keep(&mut line.fingerprints, fingerprint(value)?)?,
            "setup" => line.setup = setup(value),
            "ice-ufrag" => self.ufrag = Some(value.to_owned()),
            "ice-pwd" => self.pwd = Some(value.to_owned()),
            "ice-options" => line.trickle = value.split_whitespace().any(|o| o == "trickle"),
            "candidate" => {
                if line.candidates.len() == MAX_CANDIDATES {
                    return Err(LineFault::TooMany);
                }
                line.candidates.push(Candidate { line: None, ..Candidate::new(value) });
            }
            "end-of-candidates" => line.end_of_candidates = true,
            "ssrc" => ssrc(line, value),
            "msid" => line.msid = Some(value.to_owned()),
            "zrtp-hash" => keep(&mut line.zrtp_hashes, value.to_owned())?,
            "sctp-port" => line.sctp = value.parse().ok().map(|port| (port, 65_536)),
            "max-message-size" => {
                if let (Some(sctp), Ok(size)) = (line.sctp.as_mut(), value.parse()) {
                    sctp.1 = size;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn finish(self, session: &SessionLevel) -> MediaLine {
        let mut line = self.line;
        line.direction = self.direction.or(session.direction).unwrap_or_default();
        line.address = line.address.or(session.address);
        line.setup = line.setup.or(session.setup);
        line.trickle |= session.trickle;
        if line.fingerprints.is_empty() {
            line.fingerprints.clone_from(&session.fingerprints);
        }
        if line.crypto.is_empty() {
            line.crypto.clone_from(&session.crypto);
        }
        let ufrag = self.ufrag.or_else(|| session.ufrag.clone());
        let pwd = self.pwd.or_else(|| session.pwd.clone());
        line.ice = ufrag.zip(pwd).map(|(ufrag, pwd)| IceCredentials { ufrag, pwd });
        line
    }
}

fn keep<T>(list: &mut Vec<T>, item: T) -> Result<(), LineFault> {
    if list.len() == MAX_KEYS {
        return Err(LineFault::TooMany);
    }
    list.push(item);
    Ok(())
}

fn direction(name: &str) -> Option<Direction> {
    [Direction::SendRecv, Direction::SendOnly, Direction::RecvOnly, Direction::Inactive]
        .into_iter()
        .find(|direction| direction.as_str() == name)
}

fn setup(word: &str) -> Option<Setup> {
    [Setup::Active, Setup::Passive, Setup::ActPass, Setup::HoldConn]
        .into_iter()
        .find(|setup| setup.as_str() == word)
}

/// RFC 8122 §5.
fn fingerprint(value: &str) -> Result<Fingerprint, LineFault> {
    let (hash, hex) = value.split_once(' ').ok_or(LineFault::Bad)?;
    let bytes: Option<Vec<u8>> =
        hex.trim().split(':').map(|byte| u8::from_str_radix(byte, 16).ok()).collect();
    let bytes = bytes.filter(|bytes| (16..=64).contains(&bytes.len())).ok_or(LineFault::Bad)?;
    Ok(Fingerprint { hash: hash.to_ascii_lowercase(), bytes })
}

/// RFC 3605 §2.1.
fn rtcp(value: &str) -> Option<(u16, Option<IpAddr>)> {
    let mut words = value.split_whitespace();
    let port = words.next()?.parse().ok()?;
    Some((port, words.nth(2).and_then(|address| address.parse().ok())))
}

/// RFC 5576 §4.1; the first that brings a CNAME counts.
fn ssrc(line: &mut MediaLine, value: &str) {
    let Some((ssrc, attribute)) = value.split_once(' ') else { return };
    let (Ok(ssrc), Some(cname)) = (ssrc.parse(), attribute.strip_prefix("cname:")) else { return };
    line.ssrc.get_or_insert_with(|| (ssrc, cname.to_owned()));
}

fn rtpmap(line: &mut MediaLine, value: &str) -> Result<(), LineFault> {
    let (payload_type, encoding) = value.split_once(' ').ok_or(LineFault::Bad)?;
    let Ok(payload_type) = payload_type.parse::<u8>() else { return Err(LineFault::Bad) };
    let mut parts = encoding.trim().split('/');
    let (Some(name), Some(clock)) = (parts.next(), parts.next()) else {
        return Err(LineFault::Bad);
    };
    let clock_hz = clock.parse().map_err(|_| LineFault::Bad)?;
    let channels = parts.next().and_then(|channels| channels.parse().ok()).unwrap_or(1);
    let known = line.codecs.iter_mut().find(|codec| codec.payload_type == payload_type);
    if let Some(codec) = known {
        codec.name = name.to_owned();
        codec.clock_hz = clock_hz;
        codec.channels = channels;
    }
    Ok(())
}

fn fmtp(line: &mut MediaLine, value: &str) {
    let Some((payload_type, parameters)) = value.split_once(' ') else { return };
    let Ok(payload_type) = payload_type.parse::<u8>() else { return };
    if let Some(codec) = line.codecs.iter_mut().find(|codec| codec.payload_type == payload_type) {
        codec.fmtp = Some(parameters.to_owned());
    }
}

/// What a format token means before an `rtpmap` says so (RFC 3551 §6); dynamic types have no name
/// yet, and are dropped when rendering if they never get one.
fn static_codec(token: &str) -> Option<Codec> {
    let payload_type = token.parse::<u8>().ok().filter(|payload_type| *payload_type < 128)?;
    let (name, clock_hz) = match payload_type {
        0 => ("PCMU", 8000),
        3 => ("GSM", 8000),
        4 => ("G723", 8000),
        8 => ("PCMA", 8000),
        9 => ("G722", 8000),
        13 => ("CN", 8000),
        18 => ("G729", 8000),
        _ => ("", 8000),
    };
    Some(Codec::new(payload_type, name, clock_hz))
}
