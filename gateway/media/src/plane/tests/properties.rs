//! What must hold for any datagrams and any order of commands.

use gateway_core::description::{Answer, Direction};
use proptest::prelude::*;

use super::*;
use wire::{Host, MUXED, start_of_time};

#[derive(Clone, Debug)]
enum Step {
    Offer(u8, u8),
    Answer(u8, u8),
    Accept(u8, bool),
    Reoffer(u8),
    Rollback(u8),
    Join(u8, u8),
    Leave(u8),
    Digit(u8),
    Close(u8),
    Datagram(u32, u8, Vec<u8>),
    Wait(u16),
}

fn step() -> impl Strategy<Value = Step> {
    let port = 0u8..4;
    let datagram = prop::collection::vec(any::<u8>(), 0..80);
    prop_oneof![
        (port.clone(), 0u8..4).prop_map(|(port, kind)| Step::Offer(port, kind)),
        (port.clone(), 0u8..4).prop_map(|(port, kind)| Step::Answer(port, kind)),
        (port.clone(), any::<bool>()).prop_map(|(port, last)| Step::Accept(port, last)),
        port.clone().prop_map(Step::Reoffer),
        port.clone().prop_map(Step::Rollback),
        (port.clone(), port.clone()).prop_map(|(a, b)| Step::Join(a, b)),
        port.clone().prop_map(Step::Leave),
        port.clone().prop_map(Step::Digit),
        port.prop_map(Step::Close),
        (prop::sample::select(vec![0u32, 20_000, 20_001, 20_002]), 0u8..3, datagram)
            .prop_map(|(socket, source, bytes)| Step::Datagram(socket, source, bytes)),
        (0u16..2_000).prop_map(Step::Wait),
    ]
}

fn profile(kind: u8) -> Profile {
    match kind {
        0 => webrtc(),
        1 => phone(Protection::Clear),
        2 => phone(Protection::Sdes),
        _ => phone(Protection::Dtls),
    }
}

fn id(port: u8) -> PortId {
    PortId(u64::from(port))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn whatever_comes_nothing_panics_and_closed_ports_leave_nothing(steps in prop::collection::vec(step(), 1..60)) {
        let config = crate::config::MediaConfig::default();
        let (mut host, mut peer) = (Host::new(1, &config), Host::new(2, &config));
        let mut now = start_of_time();
        let mut offers: Vec<(PortId, Description)> = Vec::new();
        for step in steps {
            let command = match step {
                Step::Offer(port, kind) => MediaCommand::Offer { port: id(port), profile: profile(kind), like: None },
                Step::Answer(port, kind) => {
                    peer.plane.handle_command(MediaCommand::Close { port: A }, now);
                    peer.plane.handle_command(MediaCommand::Offer { port: A, profile: profile(kind), like: None }, now);
                    let Some(MediaEvent::Offered(_, offer)) = peer.take().pop() else { continue };
                    MediaCommand::Answer { port: id(port), profile: profile(kind), offer, like: None }
                }
                Step::Accept(port, is_final) => {
                    let Some((_, offer)) = offers.iter().rev().find(|(of, _)| *of == id(port)) else { continue };
                    peer.plane.handle_command(MediaCommand::Close { port: B }, now);
                    let mut accepting = webrtc();
                    accepting.accepts = vec![Protection::Dtls, Protection::Sdes, Protection::Clear];
                    peer.plane.handle_command(MediaCommand::Answer { port: B, profile: accepting, offer: Offer(offer.clone()), like: None }, now);
                    let Some(MediaEvent::Answered(_, Answer(answer))) = peer.take().into_iter().find(|event| matches!(event, MediaEvent::Answered(..))) else { continue };
                    MediaCommand::Accept { port: id(port), answer: Answer(answer), is_final }
                }
                Step::Reoffer(port) => MediaCommand::Reoffer { port: id(port), direction: Direction::SendRecv, like: None },
                Step::Rollback(port) => MediaCommand::Rollback { port: id(port) },
                Step::Join(a, b) => MediaCommand::Join { a: id(a), b: id(b) },
                Step::Leave(port) => MediaCommand::Leave { port: id(port) },
                Step::Digit(port) => MediaCommand::Digit { port: id(port), digit: '1', duration: Duration::from_millis(100) },
                Step::Close(port) => MediaCommand::Close { port: id(port) },
                Step::Datagram(socket, source, mut bytes) => {
                    let source = SocketAddr::from(([192, 0, 2, source], 7_000));
                    host.plane.handle_datagram(crate::io::SocketId(socket), source, &mut bytes, now);
                    continue;
                }
                Step::Wait(milliseconds) => {
                    now += Duration::from_millis(milliseconds.into());
                    host.plane.handle_timeout(now);
                    prop_assert!(host.plane.poll_timeout().is_none_or(|(at, _)| at > now));
                    continue;
                }
            };
            host.plane.handle_command(command, now);
            for event in host.take() {
                if let MediaEvent::Offered(port, offer) = event {
                    offers.push((port, offer.0));
                }
            }
        }
        prop_assert_eq!(host.counters.panics(), 0);
        for port in 0..4 {
            host.plane.handle_command(MediaCommand::Close { port: id(port) }, now);
        }
        now += Duration::from_secs(60);
        host.plane.handle_timeout(now);
        prop_assert!(host.plane.is_empty());
        prop_assert_eq!(host.open_pairs.load(std::sync::atomic::Ordering::Relaxed), 0);
    }

    #[test]
    fn no_datagram_of_a_stranger_is_answered_or_remembered(
        datagrams in prop::collection::vec((prop::sample::select(vec![0u8, 20, 22, 128, 200, 255]), prop::collection::vec(any::<u8>(), 0..200)), 1..50),
    ) {
        let mut wire = Wire::new(2);
        wire.call(webrtc(), webrtc());
        wire.run(seconds(3));
        let before = wire.hosts[0].plane.finder.remembered();
        let sent = wire.elsewhere.len();
        let from = SocketAddr::from(([203, 0, 113, 66], 6_666));
        for (first, mut bytes) in datagrams {
            bytes.insert(0, first);
            let now = wire.now;
            wire.hosts[0].plane.handle_datagram(MUXED, from, &mut bytes, now);
        }
        prop_assert!(wire.hosts[0].plane.poll_transmit().is_none());
        prop_assert_eq!(wire.hosts[0].plane.finder.remembered(), before);
        prop_assert_eq!(wire.elsewhere.len(), sent);
    }
}
