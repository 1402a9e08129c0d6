#![expect(clippy::disallowed_methods, reason = "tests need some moment to start at")]
//! What several tests need.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use gateway_adapter::attempts::{Attempts, Memory};
use gateway_core::description::{Answer, Offer};
use gateway_core::leg::Dial;
use gateway_core::media::Profile;
use gateway_core::route::{Origin, Require};
use gateway_core::{Address, LegId, sdp};
use serde_json::{Value, json};

use crate::config::Limits;
use crate::frame::schema;
use crate::fresh::Fresh;
use crate::hub::{Now, Setup};
use crate::session::Peer;
use crate::token::Tokens;

/// What a browser might offer, cut down.
pub(crate) const SDP: &str = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n\
    m=audio 9 UDP/TLS/RTP/SAVPF 0\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na=sendrecv\r\n";

pub(crate) fn offer() -> Offer {
    Offer(sdp::parse(SDP).expect("an SDP"))
}

pub(crate) fn answer() -> Answer {
    Answer(offer().0)
}

pub(crate) fn address(text: &str) -> Address {
    text.parse().expect("an address")
}

pub(crate) fn peer() -> Peer {
    Peer { ip: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), origin: None, is_home: false }
}

pub(crate) fn now() -> Now {
    Now { at: Instant::now(), unix_ms: 1_700_000_000_000 }
}

pub(crate) fn later(now: Now, seconds: u64) -> Now {
    Now { at: now.at + Duration::from_secs(seconds), unix_ms: now.unix_ms + seconds * 1000 }
}

pub(crate) fn setup() -> Setup {
    Setup {
        limits: Limits::default(),
        resume: Duration::from_secs(30),
        ice_servers: Vec::new(),
        networks: vec!["procom".to_owned(), "sip".to_owned()],
        tokens: Tokens::generate(),
        first_intake: 1,
    }
}

/// A life that knows nothing from before.
pub(crate) fn attempts() -> Attempts {
    remembering(now(), Memory::new([1; 32], Vec::new()))
}

/// A life that begins with what others have learned.
pub(crate) fn remembering(now: Now, memory: Memory) -> Attempts {
    Attempts::new(&memory, "procom", now.at, now.unix_s())
}

pub(crate) fn dial(contact: &str) -> Box<Dial> {
    let asserted = address("tel:+4512345678");
    Box::new(Dial {
        trunk: "procom".into(),
        origin: Origin {
            trunk: "sip.provider".into(),
            account: None,
            asserted,
            verified: false,
            only: None,
        },
        to: address("procom:alice"),
        contact: Some(contact.to_owned()),
        account: Some("alice".into()),
        display: Some("Bob".to_owned()),
        require: Require::Any,
        offer: offer(),
        profile: Profile::webrtc(Duration::from_secs(30)),
        hops_left: None,
    })
}

/// A frame as a client would send it, held against the schema.
pub(crate) fn client(frame: Value) -> String {
    let text = frame.to_string();
    schema::assert_client(&text);
    text
}

pub(crate) fn hello() -> String {
    client(json!({"type": "hello", "version": 1, "user": "alice", "password": "secret"}))
}

pub(crate) fn call(id: &str, to: &str) -> String {
    client(json!({"type": "call", "call": id, "to": to, "sdp": SDP}))
}

/// Counts instead of drawing.
#[derive(Default)]
pub(crate) struct Counter(pub(crate) u64);

impl Fresh for Counter {
    fn bytes(&mut self) -> [u8; 32] {
        self.0 += 1;
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&self.0.to_be_bytes());
        bytes
    }

    fn leg(&mut self) -> LegId {
        self.0 += 1;
        LegId(self.0 * 256)
    }
}
