//! What the two phones of a stream say: one line of sound, one key.

use std::io;
use std::net::SocketAddr;

use gateway_core::description::Description;
use gateway_media::protection::sdes::Line;
use gateway_media::srtp::{MasterKey, Suite};

/// The description of a phone at `address` that sends with the key of `line`.
pub(crate) fn describe(address: SocketAddr, line: &Line) -> String {
    let (ip, port) = (address.ip(), address.port());
    let crypto = &line.render().0;
    format!(
        "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\n\
         m=audio {port} RTP/SAVP 0\r\na=rtpmap:0 PCMU/8000\r\na=crypto:{crypto}\r\na=sendrecv\r\n"
    )
}

/// Where a relay's description wants its packets, and the line with the key it sends with under
/// this suite.
///
/// # Errors
/// When it has no address or no such key.
pub(crate) fn read(description: &Description, suite: Suite) -> io::Result<(SocketAddr, Line)> {
    let audio = description.audio().ok_or_else(|| io::Error::other("no sound in an answer"))?;
    let address = audio.rtp_address().ok_or_else(|| io::Error::other("no address in an answer"))?;
    let mut lines = audio.crypto.iter().filter_map(|line| Line::parse(line).ok());
    let line = lines.find(|line| line.key.suite() == suite);
    Ok((address, line.ok_or_else(|| io::Error::other("no key of the wanted suite"))?))
}

/// Reads a text.
///
/// # Errors
/// When it is none that we understand.
pub(crate) fn parse(text: &str) -> io::Result<Description> {
    gateway_core::sdp::parse(text).map_err(io::Error::other)
}

/// A line with a fresh key.
pub(crate) fn fresh_line(tag: u32, suite: Suite) -> Line {
    let system = ring::rand::SystemRandom::new();
    let key = MasterKey::generate(suite, &mut |bytes| {
        ring::rand::SecureRandom::fill(&system, bytes)
            .expect("the system's generator does not fail once it is up");
    });
    Line { tag, key }
}
