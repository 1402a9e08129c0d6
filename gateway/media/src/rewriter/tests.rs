use proptest::prelude::*;

use super::*;

const CLOCK_HZ: u32 = 8_000;

fn packet(ssrc: u32, sequence: u16, timestamp: u32) -> Vec<u8> {
    let mut packet = vec![0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xd5];
    rtp::set_stream(&mut packet, sequence, timestamp, ssrc);
    packet
}

struct Bench {
    rewriter: Rewriter,
    now: Instant,
}

#[expect(
    clippy::disallowed_methods,
    reason = "an Instant can be had in no other way; only steps from it count"
)]
fn bench() -> Bench {
    Bench { rewriter: Rewriter::new(0xabc, 100, 5_000, CLOCK_HZ), now: Instant::now() }
}

impl Bench {
    fn pass(&mut self, ssrc: u32, sequence: u16, timestamp: u32) -> Result<Header, Dropped> {
        let mut packet = packet(ssrc, sequence, timestamp);
        self.rewriter.rewrite(&mut packet, self.now)?;
        Ok(Header::parse(&packet).unwrap())
    }

    fn pass_numbers(&mut self, ssrc: u32, sequence: u16, timestamp: u32) -> (u16, u32) {
        let header = self.pass(ssrc, sequence, timestamp).unwrap();
        assert_eq!(header.ssrc, 0xabc);
        (header.sequence, header.timestamp)
    }

    fn wait(&mut self, milliseconds: u64) {
        self.now += Duration::from_millis(milliseconds);
    }
}

#[test]
fn the_first_packet_begins_the_stream_and_the_next_follow() {
    let mut bench = bench();
    assert_eq!(bench.pass_numbers(1, 65_535, 7), (100, 5_000));
    bench.wait(20);
    assert_eq!(bench.pass_numbers(1, 0, 167), (101, 5_160));
}

#[test]
fn loss_reordering_and_duplicates_stay_as_they_are() {
    let mut bench = bench();
    for sequence in [10u16, 11, 14, 13, 13, 15] {
        let timestamp = 160 * u32::from(sequence);
        let expected = (100 + sequence - 10, 5_000 + 160 * u32::from(sequence - 10));
        assert_eq!(bench.pass_numbers(1, sequence, timestamp), expected);
    }
}

#[test]
fn a_new_source_follows_the_old_by_the_time_that_passed() {
    let mut bench = bench();
    bench.pass_numbers(1, 10, 0);
    bench.wait(1_000);
    let header = bench.pass(2, 9_999, 77).unwrap();
    assert_eq!((header.sequence, header.timestamp), (101, 5_000 + CLOCK_HZ));
    assert!(header.is_marked);
}

#[test]
fn late_packets_of_the_old_source_keep_their_place() {
    let mut bench = bench();
    bench.pass_numbers(1, 10, 0);
    bench.pass_numbers(1, 12, 320);
    bench.pass_numbers(2, 500, 0);
    assert_eq!(bench.pass_numbers(1, 11, 160), (101, 5_160));
    assert_eq!(bench.pass_numbers(2, 501, 160).0, 104);
}

#[test]
fn a_packet_from_before_the_sources_first_is_dropped() {
    let mut bench = bench();
    bench.pass_numbers(1, 10, 0);
    bench.pass_numbers(2, 500, 0);
    assert_eq!(bench.pass(2, 499, 0), Err(Dropped::TooLate));
}

#[test]
fn a_source_that_restarts_under_its_ssrc_is_believed_at_its_second_packet() {
    let mut bench = bench();
    bench.pass_numbers(1, 40_000, 0);
    assert_eq!(bench.pass(1, 10, 99), Err(Dropped::OutOfSequence));
    bench.wait(20);
    assert_eq!(bench.pass_numbers(1, 11, 259), (101, 5_160));
}

#[test]
fn one_stray_packet_does_not_disturb_a_source() {
    let mut bench = bench();
    bench.pass_numbers(1, 40_000, 0);
    assert_eq!(bench.pass(1, 10, 99), Err(Dropped::OutOfSequence));
    assert_eq!(bench.pass_numbers(1, 40_001, 160), (101, 5_160));
}

#[test]
fn a_timestamp_that_restarts_in_a_running_sequence_is_continued() {
    let mut bench = bench();
    bench.pass_numbers(1, 10, 3_000_000_000);
    bench.wait(20);
    assert_eq!(bench.pass_numbers(1, 11, 5), (101, 5_160));
    assert_eq!(bench.pass_numbers(1, 12, 165), (102, 5_320));
}

#[test]
fn silence_that_matches_real_time_is_passed_on() {
    let mut bench = bench();
    bench.pass_numbers(1, 10, 0);
    bench.wait(60_000);
    assert_eq!(bench.pass_numbers(1, 11, 480_000), (101, 485_000));
}

#[test]
fn a_join_with_the_same_ssrc_is_a_new_source_when_told() {
    let mut bench = bench();
    bench.pass_numbers(1, 10, 0);
    bench.rewriter.expect_new_source();
    assert_eq!(bench.pass_numbers(1, 9, 0), (101, 5_160));
    assert_eq!(bench.pass_numbers(1, 10, 160), (102, 5_320));
}

#[test]
fn inserted_packets_move_the_source_up_and_keep_its_gaps() {
    let mut bench = bench();
    bench.pass_numbers(1, 10, 0);
    let start = bench.rewriter.timestamp_at(bench.now);
    assert_eq!(bench.rewriter.insert(start, bench.now), 101);
    bench.wait(20);
    assert_eq!(bench.rewriter.insert(start, bench.now), 102);
    assert_eq!(bench.pass_numbers(1, 12, 320), (104, 5_320));
    assert_eq!(bench.pass_numbers(1, 10, 0), (100, 5_000));
    assert_eq!(bench.pass(1, 11, 160), Err(Dropped::TooLate));
}

#[test]
fn what_is_no_rtp_is_dropped_unchanged() {
    let mut bench = bench();
    let mut bytes = [1, 2, 3];
    assert_eq!(bench.rewriter.rewrite(&mut bytes, bench.now), Err(Dropped::Malformed));
    assert_eq!(bytes, [1, 2, 3]);
}

/// What can happen to a stream.
#[derive(Clone, Debug)]
enum Step {
    Packet { source: usize, step: u16, passed_ms: u64 },
    Restart { source: usize, sequence: u16, timestamp: u32 },
    NewSource,
    Insert,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        10 => (0usize..3, 1u16..5, 0u64..200)
            .prop_map(|(source, step, passed_ms)| Step::Packet { source, step, passed_ms }),
        1 => (0usize..3, any::<u16>(), any::<u32>())
            .prop_map(|(source, sequence, timestamp)| Step::Restart { source, sequence, timestamp }),
        1 => Just(Step::NewSource),
        2 => Just(Step::Insert),
    ]
}

proptest! {
    #[test]
    fn sources_in_order_give_a_stream_that_never_goes_back(steps in prop::collection::vec(step(), 1..200)) {
        let mut bench = bench();
        let mut sources = [(1u32, 0u16, 0u32), (2, 30_000, 1 << 31), (3, 65_530, u32::MAX)];
        let mut newest: Option<(u16, u32)> = None;
        for step in steps {
            let placed = match step {
                Step::Packet { source, step, passed_ms } => {
                    bench.wait(passed_ms);
                    for (place, source_state) in sources.iter_mut().enumerate() {
                        source_state.2 = source_state.2.wrapping_add(8 * passed_ms as u32);
                        if place == source {
                            source_state.1 = source_state.1.wrapping_add(step);
                        }
                    }
                    let (ssrc, sequence, timestamp) = sources[source];
                    match bench.pass(ssrc, sequence, timestamp) {
                        Ok(header) => (header.sequence, header.timestamp),
                        // A restart needs a second packet, or looks like the late packet of an old
                        // run.
                        Err(_) => continue,
                    }
                }
                Step::Restart { source, sequence, timestamp } => {
                    // Far away, as a restart with random numbers nearly always is.
                    sources[source].1 = sources[source].1.wrapping_add(10_000 + sequence % 40_000);
                    sources[source].2 = timestamp;
                    continue;
                }
                Step::NewSource => {
                    bench.rewriter.expect_new_source();
                    continue;
                }
                Step::Insert => {
                    let timestamp = bench.rewriter.timestamp_at(bench.now);
                    (bench.rewriter.insert(timestamp, bench.now), timestamp)
                }
            };
            if let Some((sequence, timestamp)) = newest {
                let ahead = placed.0.wrapping_sub(sequence).cast_signed();
                prop_assert!(ahead > 0 && ahead < 3_001, "sequence {sequence} then {}", placed.0);
                prop_assert!(!is_before(placed.1, timestamp), "timestamp {timestamp} then {}", placed.1);
            }
            newest = Some(placed);
        }
    }

    #[test]
    fn order_and_gaps_inside_one_source_are_kept(
        first: u16, order in Just((0u16..50).collect::<Vec<_>>()).prop_shuffle()
    ) {
        let mut bench = bench();
        bench.pass_numbers(9, 1, 1);
        let (start, _) = bench.pass_numbers(7, first, 0);
        for n in order {
            let (sequence, _) = bench.pass_numbers(7, first.wrapping_add(n), 160 * u32::from(n));
            prop_assert_eq!(sequence.wrapping_sub(start), n);
        }
    }

    #[test]
    fn no_two_different_packets_share_a_place(
        packets in prop::collection::vec((0u32..3, 0u16..40, 0u64..40), 1..300)
    ) {
        let mut bench = bench();
        let mut origin_of_place = std::collections::BTreeMap::new();
        for (ssrc, sequence, passed_ms) in packets {
            bench.wait(passed_ms);
            if let Ok(header) = bench.pass(ssrc, sequence, 0) {
                let origin = origin_of_place.entry(header.sequence).or_insert((ssrc, sequence));
                prop_assert_eq!(*origin, (ssrc, sequence));
            }
        }
    }

    #[test]
    fn no_bytes_make_it_panic(
        packets in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..20)
    ) {
        let mut bench = bench();
        for mut packet in packets {
            let _ = bench.rewriter.rewrite(&mut packet, bench.now);
        }
    }
}
