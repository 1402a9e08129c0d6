//! Description to text.

use std::fmt::{self, Write};
use std::net::{IpAddr, Ipv4Addr};

use crate::description::{Codec, Description, Direction, MediaKind, MediaLine};

/// Writes an SDP, lines ended by CR LF.
#[must_use]
pub fn render(description: &Description) -> String {
    let mut out = String::with_capacity(1024);
    write_all(description, &mut out).expect("writing to a String does not fail");
    out
}

fn write_all(description: &Description, out: &mut String) -> fmt::Result {
    let address = description.media.iter().find_map(|line| line.address);
    let address = address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let (id, version) = description.session;
    write!(out, "v=0\r\no=- {id} {version} IN {}\r\ns=-\r\n", Ip(address))?;
    write!(out, "c=IN {}\r\nt=0 0\r\n", Ip(address))?;
    if !description.bundle.is_empty() {
        write!(out, "a=group:BUNDLE {}\r\n", description.bundle.join(" "))?;
    }
    if description.is_ice_lite {
        out.push_str("a=ice-lite\r\n");
    }
    for line in &description.media {
        write_line(line, address, out)?;
    }
    Ok(())
}

struct Ip(IpAddr);

impl fmt::Display for Ip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", if self.0.is_ipv4() { "IP4" } else { "IP6" }, self.0)
    }
}

fn write_line(line: &MediaLine, session: IpAddr, out: &mut String) -> fmt::Result {
    write!(out, "m={} {} {}", line.kind.as_str(), line.port, line.proto)?;
    let codecs: Vec<&Codec> = line.codecs.iter().filter(|codec| !codec.name.is_empty()).collect();
    if codecs.is_empty() {
        for format in &line.formats {
            write!(out, " {format}")?;
        }
        if line.formats.is_empty() {
            out.push_str(" 0");
        }
    }
    for codec in &codecs {
        write!(out, " {}", codec.payload_type)?;
    }
    out.push_str("\r\n");
    if let Some(address) = line.address.filter(|address| *address != session) {
        write!(out, "c=IN {}\r\n", Ip(address))?;
    }
    if let Some(mid) = &line.mid {
        write!(out, "a=mid:{mid}\r\n")?;
    }
    if line.is_refused() {
        return Ok(());
    }
    for codec in codecs {
        write_codec(codec, out)?;
    }
    write_transport(line, out)?;
    write_media(line, out)
}

fn write_codec(codec: &Codec, out: &mut String) -> fmt::Result {
    write!(out, "a=rtpmap:{} {}/{}", codec.payload_type, codec.name, codec.clock_hz)?;
    if codec.channels > 1 {
        write!(out, "/{}", codec.channels)?;
    }
    out.push_str("\r\n");
    match &codec.fmtp {
        Some(parameters) => write!(out, "a=fmtp:{} {parameters}\r\n", codec.payload_type),
        None => Ok(()),
    }
}

fn write_transport(line: &MediaLine, out: &mut String) -> fmt::Result {
    if line.rtcp_mux {
        out.push_str("a=rtcp-mux\r\n");
    }
    match line.rtcp {
        Some((port, Some(address))) => write!(out, "a=rtcp:{port} IN {}\r\n", Ip(address))?,
        Some((port, None)) => write!(out, "a=rtcp:{port}\r\n")?,
        None => {}
    }
    for crypto in &line.crypto {
        write!(out, "a=crypto:{}\r\n", crypto.0)?;
    }
    for fingerprint in &line.fingerprints {
        write!(out, "a=fingerprint:{fingerprint}\r\n")?;
    }
    if let Some(setup) = line.setup {
        write!(out, "a=setup:{}\r\n", setup.as_str())?;
    }
    if let Some(ice) = &line.ice {
        write!(out, "a=ice-ufrag:{}\r\na=ice-pwd:{}\r\n", ice.ufrag, ice.pwd)?;
    }
    if line.trickle {
        out.push_str("a=ice-options:trickle\r\n");
    }
    for candidate in &line.candidates {
        write!(out, "a=candidate:{}\r\n", candidate.text)?;
    }
    if line.end_of_candidates {
        out.push_str("a=end-of-candidates\r\n");
    }
    Ok(())
}

fn write_media(line: &MediaLine, out: &mut String) -> fmt::Result {
    if line.kind != MediaKind::Application || line.direction != Direction::SendRecv {
        write!(out, "a={}\r\n", line.direction.as_str())?;
    }
    if let Some(ptime_ms) = line.ptime_ms {
        write!(out, "a=ptime:{ptime_ms}\r\n")?;
    }
    if let Some(msid) = &line.msid {
        write!(out, "a=msid:{msid}\r\n")?;
    }
    if let Some((ssrc, cname)) = &line.ssrc {
        write!(out, "a=ssrc:{ssrc} cname:{cname}\r\n")?;
    }
    for hash in &line.zrtp_hashes {
        write!(out, "a=zrtp-hash:{hash}\r\n")?;
    }
    match line.sctp {
        Some((port, size)) => write!(out, "a=sctp-port:{port}\r\na=max-message-size:{size}\r\n"),
        None => Ok(()),
    }
}
