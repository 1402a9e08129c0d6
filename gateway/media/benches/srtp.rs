//! Nanoseconds per packet of sealing and opening, for every suite: `cargo bench -p gateway-media --bench srtp`.
//!
//! 172 bytes are a packet of 20 ms of G.711. Prints and asserts nothing: figures depend on the machine.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark reads the clock and prints"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use gateway_media::srtp::{MAX_TAIL_BYTES, MasterKey, Opener, Sealer, Suite};

const CLEAR_BYTES: usize = 172;
const PACKETS: u32 = 100_000;
const ROUNDS: usize = 7;

fn main() {
    println!(
        "{:28} {:>8} {:>8}  ns per {CLEAR_BYTES} B packet, best of {ROUNDS}",
        "", "seal", "open"
    );
    for suite in Suite::PREFERRED {
        let rounds: Vec<_> = (0..ROUNDS).map(|_| measure(suite)).collect();
        let seal = rounds.iter().map(|(seal, _)| *seal).min().unwrap_or_default();
        let open = rounds.iter().map(|(_, open)| *open).min().unwrap_or_default();
        println!("{:28} {:>8} {:>8}", suite.sdes_name(), per_packet(seal), per_packet(open));
    }
}

fn per_packet(total: Duration) -> u128 {
    total.as_nanos() / u128::from(PACKETS)
}

fn measure(suite: Suite) -> (Duration, Duration) {
    let key = MasterKey::generate(suite, &mut |bytes| bytes.fill(0x5a));
    let (mut sealer, mut opener) = (Sealer::new(&key), Opener::new(&key));
    let (mut sealing, mut opening) = (Duration::ZERO, Duration::ZERO);
    let mut packets = vec![[0x5au8; CLEAR_BYTES + MAX_TAIL_BYTES]; 100];
    let mut lengths = [0; 100];
    for batch in 0..PACKETS / 100 {
        for (place, packet) in (0..).zip(&mut packets) {
            write_packet(packet, batch * 100 + place);
        }
        let start = Instant::now();
        for (packet, length) in packets.iter_mut().zip(&mut lengths) {
            *length = sealer.seal_rtp(black_box(packet), CLEAR_BYTES).unwrap_or_default();
        }
        sealing += start.elapsed();
        let start = Instant::now();
        for (packet, length) in packets.iter_mut().zip(&lengths) {
            let opened = opener.open_rtp(black_box(&mut packet[..*length]));
            assert_eq!(opened, Ok(CLEAR_BYTES), "what was sealed opens");
        }
        opening += start.elapsed();
    }
    (sealing, opening)
}

fn write_packet(packet: &mut [u8], index: u32) {
    let header = gateway_media::rtp::Header {
        payload_type: 0,
        is_marked: false,
        sequence: index as u16,
        timestamp: index.wrapping_mul(160),
        ssrc: 7,
        header_bytes: 12,
        padding_bytes: 0,
    };
    gateway_media::rtp::write_header(packet, &header).expect("172 bytes hold a header");
}
