#![expect(clippy::disallowed_methods, reason = "a test needs some moment to start at")]

use std::time::Duration;

use proptest::prelude::*;
use rtc_sctp::ClientConfig;

use super::*;

/// A peer as a browser is: it associates and opens channels, over the library's own client.
struct Peer {
    endpoint: Endpoint,
    handle: AssociationHandle,
    association: Association,
    heard: Vec<Vec<u8>>,
    accepted: Vec<u16>,
}

/// The channel and its peer, with a line between that may lose packets.
struct Line {
    channel: Channel,
    peer: Peer,
    now: Instant,
    events: Vec<ChannelEvent>,
    /// So many of a hundred packets are lost.
    loses: u64,
    dice: u64,
}

impl Peer {
    fn new(now: Instant) -> Self {
        let config = Arc::new(EndpointConfig::default());
        let mut endpoint = Endpoint::new(PEER, TransportProtocol::UDP, config, None);
        let transport =
            TransportConfig::default().with_sctp_port(SCTP_PORT).with_max_message_size(1 << 26);
        let (handle, association) =
            endpoint.connect(now, ClientConfig::new(transport), PEER).expect("it connects");
        Self { endpoint, handle, association, heard: Vec::new(), accepted: Vec::new() }
    }

    fn open(&mut self, id: u16, label: &str, channel_type: ChannelType, now: Instant) {
        let config =
            DataChannelConfig { label: label.to_owned(), channel_type, ..Default::default() };
        let mut channel = DataChannel::dial(config, self.handle.0, id).expect("a channel");
        let mut stream = self.association.open_stream(id, Ppi::Binary).expect("a stream");
        while let Some(message) = channel.poll_write() {
            stream.write_with_ppi(now, &message.payload, message.ppi).expect("written");
        }
    }

    fn say(&mut self, id: u16, bytes: &[u8], ppi: Ppi, now: Instant) {
        let mut stream = self.association.stream(id).expect("an open stream");
        stream.write_with_ppi(now, bytes, ppi).expect("written");
    }

    fn handle(&mut self, packet: Bytes, now: Instant) {
        if let Some((_, DatagramEvent::AssociationEvent(event))) =
            self.endpoint.handle(now, PEER, None, packet)
        {
            self.association.handle_event(event);
        }
        while let Some(event) = self.association.poll() {
            let Event::Stream(StreamEvent::Readable { id }) = event else { continue };
            while let Ok(Some(chunks)) =
                self.association.stream(id).and_then(|mut stream| stream.read_sctp())
            {
                let bytes = chunks.to_payload(1 << 20).expect("a short message").to_vec();
                if chunks.ppi == Ppi::Dcep {
                    self.accepted.push(id);
                } else {
                    self.heard.push(bytes);
                }
            }
        }
    }
}

impl Line {
    fn new(loses: u64) -> Self {
        let now = Instant::now();
        let (channel, peer) = (Channel::new(0), Peer::new(now));
        let mut line = Self { channel, peer, now, events: Vec::new(), loses, dice: loses };
        line.run(Duration::ZERO);
        line
    }

    fn open() -> Self {
        let mut line = Self::new(0);
        line.peer.open(0, LABEL, ChannelType::Reliable, line.now);
        line.run(Duration::from_millis(10));
        assert_eq!(line.events, [ChannelEvent::Opened]);
        assert_eq!(line.peer.accepted, [0]);
        line.events.clear();
        line
    }

    fn arrives(&mut self) -> bool {
        // Knuth's multiplier: without it, repetitions may fall into step with the loss.
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.dice >> 33) % 100 >= self.loses
    }

    /// Lets time pass, with everything that is due on both sides.
    fn run(&mut self, time: Duration) {
        let until = self.now + time;
        loop {
            self.exchange();
            let due = self.channel.poll_timeout().into_iter();
            let due = due.chain(self.peer.association.poll_timeout()).min();
            match due.filter(|at| *at <= until) {
                Some(at) => {
                    self.now = self.now.max(at);
                    self.channel.handle_timeout(self.now);
                    self.peer.association.handle_timeout(self.now);
                }
                None => {
                    self.now = until;
                    return;
                }
            }
        }
    }

    fn exchange(&mut self) {
        loop {
            let mut packets = VecDeque::new();
            take_packets(&mut self.peer.association, &mut packets, self.now);
            let is_quiet = packets.is_empty();
            for packet in packets {
                if self.arrives() {
                    self.channel.handle_packet(packet, self.now);
                }
            }
            let mut is_mute = true;
            while let Some(packet) = self.channel.poll_packet() {
                is_mute = false;
                if self.arrives() {
                    self.peer.handle(packet, self.now);
                }
            }
            while let Some(event) = self.channel.poll_event() {
                self.events.push(event);
            }
            if is_quiet && is_mute {
                return;
            }
        }
    }

    fn heard(&self) -> Vec<&str> {
        let mut heard = Vec::new();
        for event in &self.events {
            match event {
                ChannelEvent::Heard(text) => heard.push(text.as_str()),
                ChannelEvent::Opened | ChannelEvent::Closed => {}
            }
        }
        heard
    }

    fn say(&mut self, text: &str) {
        let command = ChannelCommand::Say(ChannelText::from(text.to_owned()));
        self.channel.handle_command(&command, self.now);
    }
}

#[test]
fn texts_go_both_ways_in_order_and_empty_ones_too() {
    let mut line = Line::open();
    for text in ["one", "", "three"] {
        let ppi = if text.is_empty() { Ppi::StringEmpty } else { Ppi::String };
        let bytes = if text.is_empty() { &[0][..] } else { text.as_bytes() };
        line.peer.say(0, bytes, ppi, line.now);
        line.say(text);
    }
    line.run(Duration::from_secs(1));
    assert_eq!(line.heard(), ["one", "", "three"]);
    assert_eq!(line.peer.heard, [b"one".to_vec(), vec![0], b"three".to_vec()]);
}

#[test]
fn everything_arrives_in_spite_of_loss() {
    for percent in [5, 10, 20, 30] {
        let mut line = Line::new(percent);
        line.run(Duration::from_secs(30));
        line.peer.open(0, LABEL, ChannelType::Reliable, line.now);
        line.run(Duration::from_secs(60));
        let texts: Vec<String> = (0..40).map(|at| format!("{at} ").repeat(500)).collect();
        for text in &texts {
            line.peer.say(0, text.as_bytes(), Ppi::String, line.now);
            line.say(text);
        }
        line.run(Duration::from_secs(1_800));
        // Not printed: they are long.
        assert!(line.heard() == texts, "{} at {percent} % of loss", line.heard().len());
        let ours: Vec<&[u8]> = texts.iter().map(String::as_bytes).collect();
        assert!(line.peer.heard == ours, "{} at {percent} % of loss", line.peer.heard.len());
    }
}

#[test]
fn the_longest_text_arrives_and_a_longer_one_closes_the_channel() {
    let mut line = Line::open();
    let longest = "x".repeat(MAX_CHANNEL_TEXT);
    line.peer.say(0, longest.as_bytes(), Ppi::String, line.now);
    line.say(&longest);
    line.run(Duration::from_secs(5));
    assert_eq!(line.heard(), [longest.as_str()]);
    assert_eq!(line.peer.heard.len(), 1);
    let longer = vec![b'x'; MAX_CHANNEL_TEXT + 1];
    line.peer.say(0, &longer, Ppi::String, line.now);
    line.run(Duration::from_secs(5));
    assert_eq!(line.events.last(), Some(&ChannelEvent::Closed));
}

#[test]
fn a_message_that_never_ends_costs_the_peer_its_channel() {
    let mut line = Line::open();
    line.peer.say(0, &vec![b'x'; 20_000_000], Ppi::String, line.now);
    line.run(Duration::from_secs(120));
    assert_eq!(line.events, [ChannelEvent::Closed]);
    assert!(line.channel.machine.is_none(), "nothing is held any more");
    assert_eq!(line.channel.poll_timeout(), None);
}

#[test]
fn other_labels_and_unreliable_channels_are_closed_and_ours_goes_on() {
    let mut line = Line::open();
    line.peer.open(2, "chat", ChannelType::Reliable, line.now);
    line.peer.say(2, b"hello?", Ppi::String, line.now);
    line.peer.open(4, LABEL, ChannelType::PartialReliableRexmit, line.now);
    line.run(Duration::from_secs(1));
    assert_eq!(line.peer.accepted, [0]);
    line.peer.say(0, b"still here", Ppi::String, line.now);
    line.run(Duration::from_secs(1));
    assert_eq!(line.heard(), ["still here"]);
}

#[test]
fn who_opens_too_many_channels_loses_all() {
    let mut line = Line::open();
    for id in 1..=MAX_CHANNELS as u16 {
        line.peer.open(2 * id, "chat", ChannelType::Reliable, line.now);
    }
    line.run(Duration::from_secs(5));
    assert_eq!(line.events, [ChannelEvent::Closed]);
}

#[test]
fn bytes_instead_of_text_cost_the_peer_its_channel() {
    let mut line = Line::open();
    line.peer.say(0, b"bytes", Ppi::Binary, line.now);
    line.run(Duration::from_secs(1));
    assert_eq!(line.events, [ChannelEvent::Closed]);

    let mut line = Line::open();
    line.peer.say(0, b"text", Ppi::String, line.now);
    line.peer.say(0, &[0xff, 0xfe], Ppi::String, line.now);
    line.run(Duration::from_secs(1));
    assert_eq!(line.heard(), ["text"]);
    assert_eq!(line.events.last(), Some(&ChannelEvent::Closed));
}

#[test]
fn a_flood_of_texts_closes_the_channel() {
    let mut line = Line::open();
    for _ in 0..2_000 {
        line.peer.say(0, b"!", Ppi::String, line.now);
    }
    line.run(Duration::from_secs(1));
    assert!(line.heard().len() <= 1100);
    assert_eq!(line.events.last(), Some(&ChannelEvent::Closed));
}

#[test]
fn a_channel_the_peer_has_closed_may_be_followed_by_another() {
    let mut line = Line::open();
    line.peer.association.stream(0).expect("a stream").close(line.now).expect("closed");
    line.run(Duration::from_secs(1));
    line.peer.open(2, LABEL, ChannelType::Reliable, line.now);
    line.run(Duration::from_secs(1));
    line.peer.say(2, b"text", Ppi::String, line.now);
    line.run(Duration::from_secs(1));
    assert_eq!(line.events.first(), Some(&ChannelEvent::Closed));
    assert_eq!(line.heard(), ["text"]);
}

#[test]
fn a_peer_that_aborts_or_closes_is_noticed() {
    let mut line = Line::open();
    line.peer.association.stream(0).expect("a stream").close(line.now).expect("closed");
    line.run(Duration::from_secs(1));
    assert_eq!(line.events, [ChannelEvent::Closed]);

    let mut line = Line::open();
    line.peer.association.abort().expect("aborted");
    line.run(Duration::from_secs(1));
    assert_eq!(line.events, [ChannelEvent::Closed]);
}

#[test]
fn our_close_reaches_the_peer() {
    let mut line = Line::open();
    line.channel.handle_command(&ChannelCommand::Close, line.now);
    line.run(Duration::from_secs(1));
    assert_eq!(line.events, [ChannelEvent::Closed]);
    assert!(line.peer.association.is_closed());
    line.say("in vain");
    line.run(Duration::from_secs(1));
    assert!(line.peer.heard.is_empty());
}

#[test]
fn a_peer_that_does_not_listen_loses_its_channel_instead_of_filling_memory() {
    let mut line = Line::open();
    for _ in 0..30 {
        line.say(&"x".repeat(MAX_CHANNEL_TEXT));
        while line.channel.poll_packet().is_some() {}
    }
    line.exchange();
    assert_eq!(line.events, [ChannelEvent::Closed]);
}

#[test]
fn repeated_requests_to_associate_do_not_pile_up() {
    let now = Instant::now();
    let mut channel = Channel::new(0);
    for _ in 0..100 {
        let mut peer = Peer::new(now);
        let mut packets = VecDeque::new();
        take_packets(&mut peer.association, &mut packets, now);
        channel.handle_packet(packets.pop_front().expect("an INIT"), now);
    }
    let machine = channel.machine.as_ref().expect("it lives");
    assert!(machine.half_open.len() <= MAX_HALF_OPEN);

    // One that was repeated and crossed still associates.
    let mut line = Line { channel: Channel::new(0), ..Line::new(0) };
    line.peer = Peer::new(line.now);
    let mut packets = VecDeque::new();
    take_packets(&mut line.peer.association, &mut packets, line.now);
    let request = packets.pop_front().expect("an INIT");
    line.channel.handle_packet(request.clone(), line.now);
    line.channel.handle_packet(request, line.now);
    line.run(Duration::from_secs(10));
    line.peer.open(0, LABEL, ChannelType::Reliable, line.now);
    line.run(Duration::from_secs(10));
    assert_eq!(line.events, [ChannelEvent::Opened]);
}

/// The packets of a whole conversation, by side.
fn conversation() -> Vec<Bytes> {
    let mut line = Line::new(0);
    let mut kept = Vec::new();
    line.peer.open(0, LABEL, ChannelType::Reliable, line.now);
    line.peer.say(0, "a text ".repeat(600).as_bytes(), Ppi::String, line.now);
    line.peer.open(2, "chat", ChannelType::Reliable, line.now);
    for _ in 0..20 {
        let mut packets = VecDeque::new();
        take_packets(&mut line.peer.association, &mut packets, line.now);
        for packet in packets {
            kept.push(packet.clone());
            line.channel.handle_packet(packet, line.now);
        }
        while let Some(packet) = line.channel.poll_packet() {
            line.peer.handle(packet, line.now);
        }
    }
    let _ = line.peer.association.abort();
    let mut packets = VecDeque::new();
    take_packets(&mut line.peer.association, &mut packets, line.now);
    kept.extend(packets);
    kept
}

/// The checksum of RFC 9260 §6.8, so that what is changed gets past it.
fn with_checksum(mut packet: Vec<u8>) -> Bytes {
    if packet.len() >= 12 {
        packet[8..12].fill(0);
        let mut crc = !0_u32;
        for byte in &packet {
            crc ^= u32::from(*byte);
            for _ in 0..8 {
                crc = if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
            }
        }
        packet[8..12].copy_from_slice(&(!crc).to_le_bytes());
    }
    packet.into()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn random_packets_leave_the_channel_in_order(
        packets in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..1500), 1..20),
    ) {
        let mut line = Line::open();
        for packet in packets {
            line.channel.handle_packet(with_checksum(packet), line.now);
            line.exchange();
        }
        line.peer.say(0, b"still here", Ppi::String, line.now);
        line.run(Duration::from_secs(60));
        prop_assert_eq!(line.heard(), ["still here"]);
    }

    #[test]
    fn changed_packets_of_the_peer_never_reach_beyond_the_channel(
        changes in prop::collection::vec((0_usize..64, 12_usize..1200, any::<u8>(), 0_usize..4), 1..40),
    ) {
        let mut line = Line::open();
        let say = |line: &mut Line| {
            let is_up = line.peer.association.stream(0).is_ok_and(|stream| stream.is_writable());
            if is_up {
                line.peer.say(0, "some text ".repeat(150).as_bytes(), Ppi::String, line.now);
            }
        };
        for (at, place, value, many) in changes {
            say(&mut line);
            let mut packets = VecDeque::new();
            take_packets(&mut line.peer.association, &mut packets, line.now);
            for (index, packet) in packets.into_iter().enumerate() {
                let mut bytes = packet.to_vec();
                if index % 3 == at % 3 {
                    for offset in 0..=many {
                        let place = 12 + (place + offset * 7) % (bytes.len().max(13) - 12);
                        if let Some(byte) = bytes.get_mut(place) { *byte = value; }
                    }
                }
                line.channel.handle_packet(with_checksum(bytes), line.now);
            }
            line.run(Duration::from_millis(300));
        }
        let machine_holds = line.channel.machine.as_ref().map_or(0, |machine| machine.half_open.len());
        prop_assert!(machine_holds <= MAX_HALF_OPEN);
    }

    #[test]
    fn packets_of_another_conversation_in_any_order_do_no_harm(
        order in prop::collection::vec(any::<prop::sample::Index>(), 1..60),
    ) {
        let packets = conversation();
        let now = Instant::now();
        let mut channel = Channel::new(0);
        for at in order {
            channel.handle_packet(packets[at.index(packets.len())].clone(), now);
            while channel.poll_packet().is_some() {}
        }
    }
}
