#![expect(clippy::wildcard_enum_match_arm, reason = "a test looks for one event among all")]

mod attacks;
mod calls;
mod channel;
mod early;
mod properties;
mod wire;

use std::net::SocketAddr;
use std::time::Duration;

use gateway_core::description::{Description, Offer};
use gateway_core::ids::PortId;
use gateway_core::media::{MediaCommand, MediaEvent, Profile, Protection};

use crate::rtp::{self, Header};
use wire::Wire;

/// The port of host 0, of host 1, and of a phone at host 0.
const A: PortId = PortId(1);
const B: PortId = PortId(2);
const P: PortId = PortId(3);

/// Where the phone is.
const PHONE: ([u8; 4], u16) = ([198, 51, 100, 9], 4_000);

fn webrtc() -> Profile {
    Profile::webrtc(Duration::from_secs(20))
}

fn phone(protection: Protection) -> Profile {
    Profile::phone(protection, false)
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The offer of a phone without protection.
fn phone_offer(ip: &str, codecs: &str) -> Description {
    let text = format!(
        "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio 4000 RTP/AVP {codecs}\r\n\
         a=rtpmap:101 telephone-event/8000\r\na=rtpmap:96 opus/48000/2\r\n"
    );
    gateway_core::sdp::parse(&text).unwrap()
}

/// Opens the phone's port at host 0 and returns where its RTP goes.
fn open_phone(wire: &mut Wire, profile: Profile, ip: &str) -> SocketAddr {
    let offer = Offer(phone_offer(ip, "0 8 101"));
    wire.command(0, MediaCommand::Answer { port: P, profile, offer, like: None });
    let answer = wire.hosts[0].events.iter().rev().find_map(|event| match event {
        MediaEvent::Answered(P, answer) => Some(answer.0.clone()),
        _ => None,
    });
    answer.expect("the phone was answered").audio().unwrap().rtp_address().unwrap()
}

/// One packet of 20 ms.
fn packet(payload_type: u8, sequence: u16, ssrc: u32, payload: &[u8]) -> Vec<u8> {
    let header = Header {
        payload_type,
        is_marked: false,
        sequence,
        timestamp: u32::from(sequence) * 160,
        ssrc,
        header_bytes: 12,
        padding_bytes: 0,
    };
    let mut packet = vec![0; 12];
    rtp::write_header(&mut packet, &header).unwrap();
    packet.extend_from_slice(payload);
    packet
}

/// RTP that reached the phone, headers read.
fn heard(wire: &mut Wire) -> Vec<(Header, Vec<u8>)> {
    let flown = std::mem::take(&mut wire.elsewhere);
    let to_phone = flown.into_iter().filter(|flying| flying.to == SocketAddr::from(PHONE));
    to_phone
        .map(|flying| {
            let header = Header::parse(&flying.bytes).unwrap();
            (header, header.payload(&flying.bytes).to_vec())
        })
        .collect()
}

/// Lets the phone speak `packets` packets of 20 ms and returns what comes back.
fn speak(wire: &mut Wire, to: SocketAddr, packets: std::ops::Range<u16>) -> Vec<(Header, Vec<u8>)> {
    for sequence in packets {
        let packet = packet(0, sequence, 0xcafe, &[sequence as u8; 160]);
        wire.inject(PHONE.into(), to, &packet);
        wire.run(Duration::from_millis(20));
    }
    heard(wire)
}

/// Phone <-> A <-> B <-> echo.
fn talk(wire: &mut Wire, offerer: Profile, answerer: Profile) -> SocketAddr {
    let to = open_phone(wire, phone(Protection::Clear), "198.51.100.9");
    wire.call(offerer, answerer);
    wire.command(0, MediaCommand::Join { a: A, b: P });
    wire.command(1, MediaCommand::Join { a: B, b: B });
    wire.run(seconds(3));
    to
}
