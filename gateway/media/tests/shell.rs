//! The running media plane over real sockets on loopback.

use std::net::{SocketAddr, UdpSocket};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use gateway_core::description::{Answer, Description, Offer};
use gateway_core::ids::{LEGS_PER_CALL, PortId};
use gateway_core::media::{MediaCommand, MediaEvent, Profile, Protection};
use gateway_media::config::MediaConfig;
use gateway_media::counters::{Outcome, Way};
use gateway_media::shell::MediaHandle;

const PATIENCE: Duration = Duration::from_secs(10);

fn start(first_port: u16) -> (MediaHandle, Receiver<MediaEvent>) {
    let config = MediaConfig {
        bind: vec![[127, 0, 0, 1].into()],
        media_port: 0,
        rtp_ports: (first_port, first_port + 99),
        allow_loopback: true,
        workers: 2,
        ..MediaConfig::default()
    };
    let (sender, events) = channel();
    // The receiver is gone at the end of a test, when nobody listens any more.
    let sink = move |event| drop(sender.send(event));
    (MediaHandle::start(&config, sink).expect("loopback has ports"), events)
}

fn phone_offer(port: u16) -> Description {
    let text = format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n"
    );
    gateway_core::sdp::parse(&text).expect("the text is an SDP")
}

fn answered(events: &Receiver<MediaEvent>) -> Description {
    loop {
        if let MediaEvent::Answered(_, answer) = events.recv_timeout(PATIENCE).expect("an answer") {
            return answer.0;
        }
    }
}

#[test]
fn a_phone_hears_its_echo_and_a_stranger_does_not() {
    let (media, events) = start(41_000);
    let phone = UdpSocket::bind("127.0.0.1:0").unwrap();
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    phone.set_read_timeout(Some(PATIENCE)).unwrap();
    stranger.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let port = PortId(LEGS_PER_CALL);
    let offer = Offer(phone_offer(phone.local_addr().unwrap().port()));
    let profile = Profile::phone(Protection::Clear, false);
    media.send(MediaCommand::Answer { port, profile, offer, like: None }).unwrap();
    media.send(MediaCommand::Join { a: port, b: port }).unwrap();
    let to: SocketAddr = answered(&events).audio().unwrap().rtp_address().unwrap();
    let packet = [&[0x80, 0, 0, 1, 0, 0, 0, 160, 0, 0, 0, 7][..], &[0x55; 160]].concat();
    stranger.send_to(&packet, to).unwrap();
    phone.send_to(&packet, to).unwrap();
    let mut buffer = [0; 2_048];
    let (length, _) = phone.recv_from(&mut buffer).unwrap();
    assert_eq!(buffer[12..length], packet[12..]);
    assert!(stranger.recv_from(&mut buffer).is_err());
    assert_eq!(media.counters().packets(Way::In, Outcome::WrongSource), 1);
}

#[test]
fn two_gateways_connect_by_ice_and_dtls() {
    let ((one, of_one), (other, of_other)) = (start(41_100), start(41_200));
    let (port, profile) = (PortId(3 * LEGS_PER_CALL), Profile::webrtc(PATIENCE));
    one.send(MediaCommand::Offer { port, profile: profile.clone(), like: None }).unwrap();
    let MediaEvent::Offered(_, offer) = of_one.recv_timeout(PATIENCE).unwrap() else {
        panic!("an offer was asked for");
    };
    other.send(MediaCommand::Answer { port, profile, offer, like: None }).unwrap();
    let answer = Answer(answered(&of_other));
    one.send(MediaCommand::Accept { port, answer, is_final: true }).unwrap();
    for events in [of_one, of_other] {
        let event = events.recv_timeout(PATIENCE).unwrap();
        assert!(matches!(event, MediaEvent::Secured(..)), "{event:?}");
    }
}

#[test]
fn ports_of_the_range_are_given_back() {
    let (media, events) = start(41_300);
    for call in 1..=200 {
        let port = PortId(call * LEGS_PER_CALL);
        let offer = Offer(phone_offer(9));
        let profile = Profile::phone(Protection::Clear, false);
        media.send(MediaCommand::Answer { port, profile, offer, like: None }).unwrap();
        answered(&events);
        media.send(MediaCommand::Close { port }).unwrap();
    }
}
