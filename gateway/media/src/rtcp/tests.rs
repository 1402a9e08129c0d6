use std::time::{Duration, Instant};

use gateway_core::media::QualityCodec;
use proptest::prelude::*;

use super::*;
use crate::rtp::Header;

const BUFFER_BYTES: usize = 256;

#[expect(
    clippy::disallowed_methods,
    reason = "an Instant can be had in no other way; only steps from it count"
)]
fn start() -> Instant {
    Instant::now()
}

fn milliseconds(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn header(ssrc: u32, sequence: u16, timestamp: u32) -> Header {
    Header {
        payload_type: 0,
        is_marked: false,
        sequence,
        timestamp,
        ssrc,
        header_bytes: 12,
        padding_bytes: 0,
    }
}

fn reporter(ssrc: u32, now: Instant) -> Reporter {
    Reporter::new(ssrc, "leg".to_owned(), 8_000, 1 << 31, now)
}

fn report(reporter: &mut Reporter, timestamp: u32, now: Instant) -> Vec<u8> {
    let mut buffer = [0; BUFFER_BYTES];
    let length =
        reporter.poll_report(timestamp, 1 << 31, now, &mut buffer).expect("a report is due");
    buffer[..length].to_vec()
}

fn hex(text: &str) -> Vec<u8> {
    crate::srtp::hex(text)
}

#[test]
fn a_compound_packet_is_read_as_it_was_written() {
    let block = ReportBlock {
        ssrc: 7,
        fraction_lost: 200,
        cumulative_lost: -5,
        highest_sequence: 0x0001_0002,
        jitter: 33,
        last_sender_report: 44,
        delay_since: 55,
    };
    let sender =
        SenderInfo { ntp: 0x0102_0304_0506_0708, rtp_timestamp: 9, packets: 10, octets: 11 };
    let mut buffer = [0xff; BUFFER_BYTES];
    let mut builder = Builder::new(&mut buffer);
    builder.sender_report(1, &sender, &[block]);
    builder.receiver_report(2, &[block, block]);
    builder.cname(1, "somebody");
    builder.picture_loss(1, 7);
    builder.goodbye(1);
    let length = builder.length();
    let packets: Vec<_> = parse(&buffer[..length]).unwrap().collect();
    let [
        Packet::SenderReport { ssrc: 1, sender: sender_read, blocks },
        Packet::ReceiverReport { ssrc: 2, blocks: two },
        Packet::SourceDescription { cname: Some(b"somebody") },
        Packet::PictureLoss { sender: 1, media: 7 },
        Packet::Goodbye(leaving),
    ] = packets[..]
    else {
        panic!("{packets:?}");
    };
    assert_eq!(sender_read, sender);
    assert_eq!(blocks.collect::<Vec<_>>(), [block]);
    assert_eq!(two.count(), 2);
    assert_eq!(leaving.collect::<Vec<_>>(), [1]);
}

#[test]
fn names_of_every_length_end_at_a_word() {
    for length in 0..=300 {
        let name = "n".repeat(length);
        let mut buffer = [0xff; 600];
        let mut builder = Builder::new(&mut buffer);
        builder.cname(1, &name);
        let bytes = builder.length();
        assert_eq!(bytes % 4, 0);
        let packet = parse(&buffer[..bytes]).unwrap().next().unwrap();
        let cname = &name.as_bytes()[..length.min(255)];
        assert_eq!(packet, Packet::SourceDescription { cname: Some(cname) });
    }
}

#[test]
fn what_does_not_fit_is_left_out_whole() {
    let mut buffer = [0; 20];
    let mut builder = Builder::new(&mut buffer);
    builder.receiver_report(1, &[]);
    builder.cname(1, "a name that is longer than what is left");
    builder.goodbye(1);
    let length = builder.length();
    assert_eq!(length, 16);
    assert_eq!(parse(&buffer[..length]).unwrap().count(), 2);
}

#[test]
fn packets_that_crashed_other_implementations_are_refused() {
    for crasher in
        ["81cd000130303030", "a4ce000130303030", "80cb", "900100020000f90028345678bede0003"]
    {
        assert_eq!(parse(&hex(crasher)).map(Iterator::count), Err(Malformed), "{crasher}");
    }
    // A goodbye of nobody, by itself, is small but well-formed.
    let nobody = hex("80cb0000");
    assert!(matches!(parse(&nobody).unwrap().next(), Some(Packet::Goodbye(_))));
}

#[test]
fn lengths_that_lie_are_refused() {
    let lies = [
        "",
        "80c9",
        "80c90001",
        "80c9000200000001",
        "81c9000100000001",
        "40c9000100000001",
        "80c9000100000001ff",
        "a0c900020000000100000003",
        "a0c900020000000100000000",
        "a0c9000100000004a0c9000100000001",
        "81ca0002000000010105ff00",
        "81cb0000",
        "80c8000600000001000000000000000000000000000000000000000000",
    ];
    for lie in lies {
        assert_eq!(parse(&hex(lie)).map(Iterator::count), Err(Malformed), "{lie}");
    }
}

#[test]
fn padding_of_the_last_packet_is_skipped() {
    let padded = hex("80c9000100000001a0cb00020000000100000004");
    assert_eq!(parse(&padded).map(Iterator::count), Ok(2));
}

#[test]
fn loss_is_told_by_share_and_in_sum() {
    let now = start();
    let mut reporter = reporter(1, now);
    for sequence in (0..100u16).filter(|sequence| sequence % 4 != 3) {
        reporter.handle_received(&header(7, sequence, 160 * u32::from(sequence)), now);
    }
    let bytes = report(&mut reporter, 0, now + milliseconds(6_000));
    let Some(Packet::ReceiverReport { mut blocks, .. }) = parse(&bytes).unwrap().next() else {
        panic!("no receiver report");
    };
    let block = blocks.next().unwrap();
    // 0 to 98 were expected, 24 of these 99 are missing.
    assert_eq!((block.ssrc, block.cumulative_lost, block.highest_sequence), (7, 24, 98));
    assert_eq!(block.fraction_lost, (24 * 256 / 99) as u8);
    assert!(
        (reporter.quality(QualityCodec::G711, now + milliseconds(1)).loss_in - 24.0 / 99.0).abs()
            < 1e-3
    );
}

#[test]
fn duplicates_never_look_like_loss() {
    let now = start();
    let mut statistics = Statistics::new(&header(7, 65_530, 0), 8_000, now);
    for _ in 0..3 {
        for sequence in 65_531..65_535u16 {
            statistics.handle_packet(&header(7, sequence, 0), now);
        }
    }
    assert_eq!(statistics.take_fraction_lost(), 0);
    assert!(statistics.cumulative_lost() < 0);
    assert_eq!(statistics.take_interval(), (5, 0));
}

#[test]
fn a_wrap_of_the_sequence_number_is_counted() {
    let now = start();
    let mut statistics = Statistics::new(&header(7, 65_534, 0), 8_000, now);
    for sequence in [65_535, 0, 1] {
        statistics.handle_packet(&header(7, sequence, 0), now);
    }
    assert_eq!(statistics.highest_sequence(), 0x0001_0001);
    assert_eq!(statistics.cumulative_lost(), 0);
}

#[test]
fn an_even_stream_has_no_jitter_and_an_uneven_one_has() {
    let begin = start();
    let mut statistics = Statistics::new(&header(7, 0, 0), 8_000, begin);
    for n in 1..200u16 {
        statistics.handle_packet(
            &header(7, n, 160 * u32::from(n)),
            begin + milliseconds(20 * u64::from(n)),
        );
    }
    assert_eq!(statistics.jitter(), Duration::ZERO);
    for n in 200..600u16 {
        let late = u64::from(n % 2) * 10;
        statistics.handle_packet(
            &header(7, n, 160 * u32::from(n)),
            begin + milliseconds(20 * u64::from(n) + late),
        );
    }
    let jitter = statistics.jitter();
    assert!(jitter > milliseconds(9) && jitter < milliseconds(11), "{jitter:?}");
}

#[test]
fn who_sends_makes_sender_reports_until_two_intervals_of_silence() {
    let mut now = start();
    let mut reporter = reporter(1, now);
    reporter.handle_sent(160);
    let mut kinds = Vec::new();
    for _ in 0..4 {
        now = reporter.poll_timeout();
        let bytes = report(&mut reporter, 77, now);
        match parse(&bytes).unwrap().next() {
            Some(Packet::SenderReport { sender, .. }) => {
                assert_eq!((sender.packets, sender.octets, sender.rtp_timestamp), (1, 160, 77));
                kinds.push("sender");
            }
            Some(Packet::ReceiverReport { .. }) => kinds.push("receiver"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(kinds, ["sender", "sender", "receiver", "receiver"]);
}

#[test]
fn two_reporters_measure_the_round_trip_between_them() {
    let begin = start();
    let (mut one, mut other) = (reporter(1, begin), reporter(2, begin + milliseconds(333)));
    one.handle_sent(160);
    other.handle_received(&header(1, 0, 0), begin);
    let sent = begin + milliseconds(3_000);
    let bytes = report(&mut one, 0, sent);
    other.handle_rtcp(&bytes, sent + milliseconds(40)).unwrap();
    let answered = sent + milliseconds(2_540);
    let bytes = report(&mut other, 0, answered);
    one.handle_rtcp(&bytes, answered + milliseconds(60)).unwrap();
    let quality = one.quality(QualityCodec::G711, answered + milliseconds(60));
    assert!((quality.rtt_ms.unwrap() - 100.0).abs() < 0.1, "{quality:?}");
    assert_eq!(quality.loss_out, Some(0.0));
}

#[test]
fn reports_about_other_streams_or_impossible_times_are_not_believed() {
    let now = start();
    let mut reporter = reporter(1, now);
    let block = |ssrc, last_sender_report| ReportBlock {
        ssrc,
        fraction_lost: 128,
        cumulative_lost: 0,
        highest_sequence: 0,
        jitter: 0,
        last_sender_report,
        delay_since: 0,
    };
    let mut tell = |block| {
        let mut buffer = [0; BUFFER_BYTES];
        let mut builder = Builder::new(&mut buffer);
        builder.receiver_report(9, &[block]);
        let length = builder.length();
        reporter.handle_rtcp(&buffer[..length], now).unwrap();
        reporter.quality(QualityCodec::G711, now)
    };
    assert_eq!(tell(block(2, 0)).loss_out, None);
    let quality = tell(block(1, 0x1234_5678));
    assert_eq!((quality.loss_out, quality.rtt_ms), (Some(0.5), None));
}

#[test]
fn what_the_peer_lost_is_told_over_many_of_its_reports() {
    let mut now = start();
    let mut reporter = reporter(1, now);
    let (mut highest, mut lost, mut told) = (1_000, 0, None);
    // The last one alone says 8 %.
    for more in [0, 13, 9, 17, 9, 12, 20] {
        highest += 250;
        lost += more;
        let mut buffer = [0; BUFFER_BYTES];
        let mut builder = Builder::new(&mut buffer);
        let fraction_lost = (more * 256 / 250) as u8;
        builder.receiver_report(
            9,
            &[ReportBlock {
                ssrc: 1,
                fraction_lost,
                cumulative_lost: lost,
                highest_sequence: highest,
                jitter: 0,
                last_sender_report: 0,
                delay_since: 0,
            }],
        );
        let length = builder.length();
        reporter.handle_rtcp(&buffer[..length], now).unwrap();
        told = reporter.quality(QualityCodec::G711, now).loss_out;
        now += milliseconds(5_000);
    }
    assert!((told.unwrap() - 80.0 / 1_500.0).abs() < 0.002, "{told:?}");
}

#[test]
fn an_old_report_is_forgotten() {
    let now = start();
    let mut reporter = reporter(1, now);
    let mut buffer = [0; BUFFER_BYTES];
    let mut builder = Builder::new(&mut buffer);
    builder.receiver_report(
        9,
        &[ReportBlock {
            ssrc: 1,
            fraction_lost: 1,
            cumulative_lost: 0,
            highest_sequence: 0,
            jitter: 80,
            last_sender_report: 0,
            delay_since: 0,
        }],
    );
    let length = builder.length();
    reporter.handle_rtcp(&buffer[..length], now).unwrap();
    let quality = reporter.quality(QualityCodec::G711, now + milliseconds(19_999));
    assert_eq!(quality.jitter_out_ms, Some(10.0));
    let quality = reporter.quality(QualityCodec::G711, now + milliseconds(20_000));
    assert_eq!(quality.jitter_out_ms, None);
}

#[test]
fn a_goodbye_and_a_lost_picture_are_told() {
    let now = start();
    let (mut one, mut other) = (reporter(1, now), reporter(2, now));
    let mut buffer = [0; BUFFER_BYTES];
    let length = one.goodbye(0, now, &mut buffer);
    let feedback = other.handle_rtcp(&buffer[..length], now).unwrap();
    assert_eq!(feedback, Feedback { picture_lost: false, said_goodbye: true });
    let length = one.picture_loss(2, 0, now, &mut buffer);
    let feedback = other.handle_rtcp(&buffer[..length], now).unwrap();
    assert_eq!(feedback, Feedback { picture_lost: true, said_goodbye: false });
}

#[test]
fn reports_come_every_two_to_six_seconds_and_the_first_sooner() {
    let now = start();
    for random in [0, 1 << 20, 1 << 31, u32::MAX] {
        let mut reporter = Reporter::new(1, "leg".to_owned(), 8_000, random, now);
        let first = reporter.poll_timeout() - now;
        assert!(first >= milliseconds(1_000) && first <= milliseconds(3_100), "{first:?}");
        let mut buffer = [0; BUFFER_BYTES];
        assert_eq!(reporter.poll_report(0, random, now, &mut buffer), None);
        let due = reporter.poll_timeout();
        assert!(reporter.poll_report(0, random, due, &mut buffer).is_some());
        let next = reporter.poll_timeout() - due;
        assert!(next >= milliseconds(2_000) && next <= milliseconds(6_200), "{next:?}");
    }
}

#[test]
fn names_are_random_and_short() {
    let mut next = 0;
    let mut random = |bytes: &mut [u8]| {
        next += 1;
        bytes.fill(next);
    };
    let (one, other) = (random_cname(&mut random), random_cname(&mut random));
    assert_eq!(one.len(), 16);
    assert_ne!(one, other);
}

proptest! {
    #[test]
    fn no_bytes_make_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
        if let Ok(packets) = parse(&bytes) {
            packets.for_each(drop);
        }
    }

    #[test]
    fn no_near_miss_makes_parser_or_reporter_panic(
        first in 0x80u8..0xc0, packet_type in 192u8..224, words in 0u8..12, body in prop::collection::vec(any::<u8>(), 0..60)
    ) {
        let bytes = [&[first, packet_type, 0, words], &body[..]].concat();
        let now = start();
        let _ = reporter(1, now).handle_rtcp(&bytes, now);
    }

    #[test]
    fn statistics_survive_any_sequence(
        packets in prop::collection::vec((any::<u16>(), any::<u32>(), 0u64..1_000), 1..200)
    ) {
        let mut now = start();
        let mut reporter = reporter(1, now);
        for (sequence, timestamp, passed_ms) in packets {
            now += milliseconds(passed_ms);
            reporter.handle_received(&header(7, sequence, timestamp), now);
            let mut buffer = [0; BUFFER_BYTES];
            let _ = reporter.poll_report(0, timestamp, now, &mut buffer);
            let quality = reporter.quality(QualityCodec::Opus, now);
            prop_assert!((0.0..=1.0).contains(&quality.loss_in));
        }
    }
}
