//! Nanoseconds per packet of sealing and opening, for every suite: `cargo bench -p gateway-media
//! --bench srtp`.
//!
//! 172 bytes are a packet of 20 ms of G.711. The best of many short batches is told, which is what
//! the machine can do when nobody disturbs it. Prints and asserts nothing about time: figures
//! depend on the machine.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark reads the clock and prints"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use gateway_media::rtp::{self, Header};
use gateway_media::srtp::{MAX_TAIL_BYTES, MasterKey, Opener, Sealer, Suite};

const CLEAR_BYTES: usize = 172;
const BATCH: u32 = 100;
const BATCHES: u32 = 4_000;

fn main() {
    println!("{:28} {:>8} {:>8}  ns per packet of {CLEAR_BYTES} bytes", "", "seal", "open");
    for suite in Suite::PREFERRED {
        let (seal, open) = measure(suite);
        let per_packet = |batch: Duration| batch.as_nanos() / u128::from(BATCH);
        println!("{:28} {:>8} {:>8}", suite.sdes_name(), per_packet(seal), per_packet(open));
    }
}

/// The shortest time of a batch sealed, and of one opened.
fn measure(suite: Suite) -> (Duration, Duration) {
    let key = MasterKey::generate(suite, &mut |bytes| bytes.fill(0x5a));
    let (mut sealer, mut opener) = (Sealer::new(&key), Opener::new(&key));
    let (mut sealing, mut opening) = (Duration::MAX, Duration::MAX);
    let mut packets = vec![[0x5a; CLEAR_BYTES + MAX_TAIL_BYTES]; BATCH as usize];
    let mut sealed_bytes = 0;
    for batch in 0..BATCHES {
        for (place, packet) in (0..).zip(&mut packets) {
            write_packet(packet, batch * BATCH + place);
        }
        let start = Instant::now();
        for packet in &mut packets {
            sealed_bytes = sealer.seal_rtp(black_box(packet), CLEAR_BYTES).unwrap_or_default();
        }
        sealing = sealing.min(start.elapsed());
        let start = Instant::now();
        for packet in &mut packets {
            let opened = opener.open_rtp(black_box(&mut packet[..sealed_bytes]));
            assert_eq!(opened, Ok(CLEAR_BYTES), "what was sealed opens");
        }
        opening = opening.min(start.elapsed());
    }
    (sealing, opening)
}

fn write_packet(packet: &mut [u8], index: u32) {
    let header = Header {
        payload_type: 0,
        is_marked: false,
        sequence: index as u16,
        timestamp: index.wrapping_mul(160),
        ssrc: 7,
        header_bytes: rtp::FIXED_HEADER_BYTES,
        padding_bytes: 0,
    };
    rtp::write_header(packet, &header).expect("172 bytes hold a header");
}
