//! Nanoseconds per packet of the relay without its sockets, datagram in to datagram out, from
//! AES_CM_128 with tags of 80 bits to such with 32: `cargo bench -p gateway-media --bench relay`.
//!
//! ```text
//!            hot: rounds follow at once          cold: something else had the caches meanwhile
//!  round = ten datagrams, each of another call --> Plane --> transmits, thrown away
//! ```
//!
//! What the plane costs in a gateway lies between the two, near the cold one: between two packets of
//! a call there are 20 ms of other calls, of the kernel and of sleep. A round of the quickest tenth is told, which nobody disturbed.
//! Prints and asserts nothing about time: figures depend on the machine.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark reads the clock and prints"
)]

use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gateway_core::description::Offer;
use gateway_core::ids::PortId;
use gateway_core::media::{MediaCommand, MediaEvent, Profile, Protection};
use gateway_media::config::MediaConfig;
use gateway_media::counters::{Counters, Outcome, Way};
use gateway_media::io::{SocketId, SocketPair, Sockets};
use gateway_media::plane::{Plane, PlaneParts};
use gateway_media::protection::dtls::Identity;
use gateway_media::protection::sdes::Line;
use gateway_media::rtp::{self, FIXED_HEADER_BYTES, Header};
use gateway_media::srtp::{MAX_TAIL_BYTES, MasterKey, Sealer, Suite};

/// 20 ms of G.711.
const CLEAR_BYTES: usize = 172;
/// Datagrams of one round: what 200 calls bring in a millisecond.
const ROUND: usize = 10;
const ROUNDS: u32 = 4_000;
/// More than the caches of a core hold.
const OTHER_BYTES: usize = 4 << 20;

/// Numbers instead of sockets.
struct Numbers(u32);

impl Sockets for Numbers {
    fn open(&mut self, _: bool) -> Option<SocketPair> {
        self.0 += 2;
        let [rtp, rtcp] = [self.0, self.0 + 1].map(SocketId);
        let advertised = SocketAddr::from(([127, 0, 0, 1], 10_000));
        Some(SocketPair { rtp, rtcp, advertised })
    }

    fn close(&mut self, _: SocketPair) {}
}

/// A caller and where its packets arrive.
struct Caller {
    socket: SocketId,
    address: SocketAddr,
    sealer: Sealer,
}

fn main() {
    println!("{:>8} {:>8} {:>8}  ns per packet of {CLEAR_BYTES} bytes", "calls", "hot", "cold");
    for calls in [1, 200, 1_000] {
        let [hot, cold] = [false, true].map(|is_cold| measure(calls, is_cold).as_nanos());
        println!("{calls:>8} {hot:>8} {cold:>8}");
    }
}

/// The time for each packet in a round that nobody disturbed.
fn measure(calls: u16, is_cold: bool) -> Duration {
    let counters = Arc::new(Counters::default());
    let start = Instant::now();
    let mut plane = plane(counters.clone());
    let mut callers: Vec<_> = (0..calls).map(|call| open(&mut plane, call, start)).collect();
    let (mut other, mut rounds) = (vec![0u64; OTHER_BYTES / 8], Vec::new());
    let mut turn = 0;
    for round in 0..ROUNDS {
        let mut datagrams: Vec<_> = (0..ROUND)
            .map(|_| {
                let caller = &mut callers[turn % usize::from(calls)];
                let (bytes, length) = seal(caller, turn / usize::from(calls));
                turn += 1;
                (caller.socket, caller.address, bytes, length)
            })
            .collect();
        if is_cold {
            other.iter_mut().for_each(|word| *word = black_box(*word) + 1);
        }
        let now = start + Duration::from_millis(round.into());
        let begun = Instant::now();
        plane.expect_datagrams(datagrams.iter().map(|(socket, source, ..)| (*socket, *source)));
        for (socket, source, datagram, length) in &mut datagrams {
            plane.handle_datagram(*socket, *source, &mut datagram[..*length], now);
        }
        while let Some(transmit) = plane.poll_transmit() {
            plane.reuse(black_box(transmit).bytes);
        }
        rounds.push(begun.elapsed());
    }
    let relayed = counters.packets(Way::Out, Outcome::Passed);
    assert_eq!(relayed, u64::from(ROUNDS) * ROUND as u64, "every packet is relayed");
    rounds.sort_unstable();
    rounds[rounds.len() / 10] / ROUND as u32
}

fn plane(counters: Arc<Counters>) -> Plane {
    let config = MediaConfig { allow_loopback: true, ..MediaConfig::default() };
    let mut state = 7u8;
    let parts = PlaneParts {
        muxed: Vec::new(),
        sockets: Box::new(Numbers(0)),
        identity: Identity::generate().expect("a certificate can be made"),
        random: Box::new(move |bytes| {
            bytes.fill_with(|| {
                state = state.wrapping_mul(5).wrapping_add(3);
                state
            });
        }),
        counters,
    };
    Plane::new(&config, parts)
}

/// Opens and joins the two ports of a call.
fn open(plane: &mut Plane, call: u16, now: Instant) -> Caller {
    let ports = [0, 1].map(|leg| PortId(u64::from(call) * 2 + leg + 1));
    let address = SocketAddr::from(([127, 0, 0, 1], 2_000 + call));
    let key = |suite, fill: u8| MasterKey::generate(suite, &mut |bytes| bytes.fill(fill));
    let sent = key(Suite::AesCm128HmacSha1_80, call as u8);
    let keys = [sent.clone(), key(Suite::AesCm128HmacSha1_32, 1)];
    for (port, key) in ports.into_iter().zip(keys) {
        let crypto = &Line { tag: 1, key }.render().0;
        let text = format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
             m=audio {} RTP/SAVP 0\r\na=crypto:{crypto}\r\n",
            address.port()
        );
        let offer = Offer(gateway_core::sdp::parse(&text).expect("the text is a description"));
        let profile = Profile::phone(Protection::Sdes, true);
        plane.handle_command(MediaCommand::Answer { port, profile, offer, like: None }, now);
    }
    plane.handle_command(MediaCommand::Join { a: ports[0], b: ports[1] }, now);
    let events: Vec<_> = std::iter::from_fn(|| plane.poll_event()).collect();
    let is_answered = |event: &&MediaEvent| matches!(event, MediaEvent::Answered(..));
    assert_eq!(events.iter().filter(is_answered).count(), 2, "{events:?}");
    // As `Numbers` counts them.
    let socket = SocketId(u32::from(call) * 4 + 2);
    Caller { socket, address, sealer: Sealer::new(&sent) }
}

/// The caller's next packet, and its length.
fn seal(caller: &mut Caller, number: usize) -> ([u8; CLEAR_BYTES + MAX_TAIL_BYTES], usize) {
    let mut packet = [0xd5; CLEAR_BYTES + MAX_TAIL_BYTES];
    let header = Header {
        payload_type: 0,
        is_marked: false,
        sequence: number as u16,
        timestamp: number as u32 * 160,
        ssrc: 7,
        header_bytes: FIXED_HEADER_BYTES,
        padding_bytes: 0,
    };
    rtp::write_header(&mut packet, &header).expect("172 bytes hold a header");
    let length = caller.sealer.seal_rtp(&mut packet, CLEAR_BYTES);
    (packet, length.expect("a number is sealed once"))
}
