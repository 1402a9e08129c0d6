use proptest::prelude::*;

use super::*;

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

fn digit(key: char, duration_ms: u64) -> Digit {
    Digit { key, duration: milliseconds(duration_ms) }
}

fn event(event: u8, is_end: bool, ticks: u16) -> [u8; 4] {
    let [high, low] = ticks.to_be_bytes();
    [event, u8::from(is_end) << 7 | 10, high, low]
}

fn digits(receiver: &mut Receiver) -> Vec<Digit> {
    std::iter::from_fn(|| receiver.poll_digit()).collect()
}

/// All packets of the sender, with the time of each.
fn drain(sender: &mut Sender, clock_hz: u32) -> Vec<(Duration, EventPacket)> {
    let start = start();
    let mut now = start;
    let mut packets = Vec::new();
    while let Some(due) = sender.poll_timeout(now) {
        assert!(due >= now);
        now = due;
        let passed = now - start;
        let timestamp = (passed.as_micros() * u128::from(clock_hz) / 1_000_000) as u32;
        let packet = sender.poll_packet(timestamp, now).expect("due is due");
        packets.push((passed, packet));
        assert_eq!(sender.poll_packet(timestamp, now), None);
    }
    packets
}

#[test]
fn the_packets_of_a_press_are_one_digit() {
    let (mut receiver, now) = (Receiver::new(8_000), start());
    for ticks in [160, 320, 480, 640] {
        receiver.handle_packet(1_000, &event(5, false, ticks), now);
        assert_eq!(receiver.poll_digit(), None);
    }
    for _ in 0..3 {
        receiver.handle_packet(1_000, &event(5, true, 800), now);
    }
    assert_eq!(digits(&mut receiver), [digit('5', 100)]);
    assert_eq!(receiver.poll_timeout(), None);
}

#[test]
fn the_same_key_pressed_twice_is_two_digits() {
    let (mut receiver, now) = (Receiver::new(8_000), start());
    for timestamp in [1_000, 3_000] {
        receiver.handle_packet(timestamp, &event(11, false, 160), now);
        receiver.handle_packet(timestamp, &event(11, true, 800), now);
        receiver.handle_packet(timestamp, &event(11, true, 800), now);
    }
    assert_eq!(digits(&mut receiver), [digit('#', 100), digit('#', 100)]);
}

#[test]
fn a_press_of_which_only_one_end_packet_arrives_is_heard() {
    let (mut receiver, now) = (Receiver::new(8_000), start());
    receiver.handle_packet(1_000, &event(10, true, 800), now);
    assert_eq!(digits(&mut receiver), [digit('*', 100)]);
}

#[test]
fn a_press_whose_end_is_lost_ends_after_150_ms_of_silence() {
    let (mut receiver, now) = (Receiver::new(8_000), start());
    receiver.handle_packet(1_000, &event(1, false, 400), now);
    assert_eq!(receiver.poll_timeout(), Some(now + milliseconds(150)));
    receiver.handle_timeout(now + milliseconds(149));
    assert_eq!(receiver.poll_digit(), None);
    receiver.handle_timeout(now + milliseconds(150));
    assert_eq!(digits(&mut receiver), [digit('1', 50)]);
    receiver.handle_packet(1_000, &event(1, true, 800), now + milliseconds(160));
    assert_eq!(digits(&mut receiver), []);
}

#[test]
fn a_press_whose_end_is_lost_ends_with_the_next_press() {
    let (mut receiver, now) = (Receiver::new(8_000), start());
    receiver.handle_packet(1_000, &event(1, false, 400), now);
    receiver.handle_packet(2_000, &event(2, true, 400), now);
    assert_eq!(digits(&mut receiver), [digit('1', 50), digit('2', 50)]);
}

#[test]
fn packets_of_a_press_in_wrong_order_change_nothing() {
    let (mut receiver, now) = (Receiver::new(8_000), start());
    receiver.handle_packet(1_000, &event(7, false, 480), now);
    receiver.handle_packet(1_000, &event(7, false, 160), now);
    receiver.handle_packet(1_000, &event(7, true, 800), now);
    receiver.handle_packet(1_000, &event(7, false, 640), now);
    assert_eq!(digits(&mut receiver), [digit('7', 100)]);
    assert_eq!(receiver.poll_timeout(), None);
}

#[test]
fn a_press_cut_into_segments_is_one_digit() {
    let (mut receiver, now) = (Receiver::new(8_000), start());
    receiver.handle_packet(0, &event(3, false, u16::MAX), now);
    receiver.handle_packet(65_535, &event(3, false, 160), now);
    receiver.handle_packet(65_535, &event(3, true, 801), now);
    assert_eq!(digits(&mut receiver), [digit('3', 8_292)]);
}

#[test]
fn a_stuck_key_is_told_as_thirty_seconds() {
    let (mut receiver, now) = (Receiver::new(8_000), start());
    for segment in 0..100u32 {
        receiver.handle_packet(segment * 65_535, &event(3, false, u16::MAX), now);
    }
    receiver.handle_packet(99 * 65_535, &event(3, true, u16::MAX), now);
    assert_eq!(digits(&mut receiver), [digit('3', 30_000)]);
}

#[test]
fn a_new_source_with_smaller_timestamps_is_heard() {
    let (mut receiver, now) = (Receiver::new(8_000), start());
    receiver.handle_packet(3_000_000_000, &event(1, true, 800), now);
    receiver.handle_packet(2_900_000_000, &event(2, true, 800), now + milliseconds(2_001));
    assert_eq!(digits(&mut receiver), [digit('1', 100), digit('2', 100)]);
}

#[test]
fn several_events_in_one_packet_are_several_digits() {
    let (mut receiver, now) = (Receiver::new(8_000), start());
    let payload = [event(1, true, 400), event(2, true, 800)].concat();
    receiver.handle_packet(1_000, &payload, now);
    receiver.handle_packet(1_000, &payload, now);
    assert_eq!(digits(&mut receiver), [digit('1', 50), digit('2', 100)]);
}

#[test]
fn events_that_are_no_digits_are_ignored() {
    let (mut receiver, now) = (Receiver::new(8_000), start());
    receiver.handle_packet(1_000, &event(16, true, 400), now);
    receiver.handle_packet(1_000, &event(255, false, 400), now);
    receiver.handle_packet(1_000, &[1, 2, 3], now);
    assert_eq!((receiver.poll_digit(), receiver.poll_timeout()), (None, None));
}

#[test]
fn durations_follow_the_clock() {
    let (mut receiver, now) = (Receiver::new(48_000), start());
    receiver.handle_packet(1_000, &event(9, true, 4_800), now);
    assert_eq!(digits(&mut receiver), [digit('9', 100)]);
}

#[test]
fn a_press_is_sent_every_20_ms_and_its_end_three_times() {
    let mut sender = Sender::new(8_000);
    sender.press(digit('5', 100)).unwrap();
    let packets = drain(&mut sender, 8_000);
    let told: Vec<_> = packets
        .iter()
        .map(|(at, packet)| {
            let [event, flags, high, low] = packet.payload;
            assert_eq!((event, flags & 0x3f), (5, VOLUME));
            (at.as_millis(), u16::from_be_bytes([high, low]), flags & 0x80 != 0)
        })
        .collect();
    let expected = [
        (0, 160, false),
        (20, 320, false),
        (40, 480, false),
        (60, 640, false),
        (80, 800, true),
        (100, 800, true),
        (120, 800, true),
    ];
    assert_eq!(told, expected);
    assert!(packets.iter().all(|(_, packet)| packet.timestamp == packets[0].1.timestamp));
    let marked: Vec<_> = packets.iter().map(|(_, packet)| packet.is_marked).collect();
    assert_eq!(marked, [true, false, false, false, false, false, false]);
    assert!(!sender.is_sending());
}

#[test]
fn presses_follow_each_other_with_a_pause() {
    let mut sender = Sender::new(8_000);
    sender.press(digit('1', 100)).unwrap();
    sender.press(digit('2', 100)).unwrap();
    let packets = drain(&mut sender, 8_000);
    let second = packets.iter().find(|(_, packet)| packet.payload[0] == 2).unwrap();
    assert!(second.1.is_marked);
    assert!(second.0 >= milliseconds(100 + 60), "{:?}", second.0);
    assert!(second.1.timestamp > packets[0].1.timestamp + 800);
}

#[test]
fn a_sender_that_is_called_late_still_tells_the_whole_press() {
    let (mut sender, now) = (Sender::new(8_000), start());
    sender.press(digit('5', 100)).unwrap();
    assert!(sender.poll_packet(0, now).unwrap().is_marked);
    let late = sender.poll_packet(0, now + milliseconds(500)).unwrap();
    assert_eq!(late.payload, event(5, true, 800));
}

#[test]
fn what_is_no_digit_or_too_much_is_refused() {
    let mut sender = Sender::new(8_000);
    for key in ['E', 'x', ' ', '\n', 'é'] {
        assert_eq!(sender.press(digit(key, 100)), Err(NotSent));
    }
    for _ in 0..32 {
        sender.press(digit('1', 100)).unwrap();
    }
    assert_eq!(sender.press(digit('1', 100)), Err(NotSent));
}

proptest! {
    #[test]
    fn what_is_sent_is_heard_whatever_is_lost(
        keys in prop::collection::vec(prop::sample::select(&DIGITS), 1..10),
        duration_ms in 40u64..400,
        clock_hz in prop::sample::select(&[8_000u32, 16_000, 48_000]),
        lost in prop::collection::vec(any::<bool>(), 400),
    ) {
        let mut sender = Sender::new(clock_hz);
        keys.iter().for_each(|key| sender.press(digit(*key, duration_ms)).unwrap());
        let (mut receiver, now) = (Receiver::new(clock_hz), start());
        let mut heard = Vec::new();
        let mut arrived_of_press = 0;
        for ((passed, packet), is_lost) in drain(&mut sender, clock_hz).into_iter().zip(lost) {
            if packet.is_marked {
                arrived_of_press = 0;
            }
            arrived_of_press += 1;
            // At most every second packet is lost, so that one end packet always arrives.
            if is_lost && arrived_of_press % 2 == 1 {
                continue;
            }
            receiver.handle_timeout(now + passed);
            receiver.handle_packet(packet.timestamp, &packet.payload, now + passed);
            heard.extend(digits(&mut receiver));
        }
        let expected: Vec<_> = keys.iter().map(|key| digit(*key, duration_ms)).collect();
        prop_assert_eq!(heard, expected);
    }

    #[test]
    fn no_packets_make_the_receiver_panic_or_grow(
        packets in prop::collection::vec((any::<u32>(), prop::collection::vec(any::<u8>(), 0..40)), 0..60)
    ) {
        let (mut receiver, now) = (Receiver::new(8_000), start());
        for (timestamp, payload) in packets {
            receiver.handle_packet(timestamp, &payload, now);
            prop_assert!(receiver.heard.len() <= MAX_EVENTS + 1);
        }
    }
}
