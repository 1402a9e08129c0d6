//! What all attacks share: a bystander, whose call with the echo goes on undisturbed meanwhile.

#![expect(clippy::disallowed_methods, reason = "measures a real call")]

use std::net::{SocketAddr, UdpSocket};
use std::thread::sleep;
use std::time::{Duration, Instant};

use gateway_tests::audio::{Demand, assert_heard};
use gateway_tests::phone::{Phone, Transport};

use crate::scene::{Model, PHONE_HZ, Scene, phone_account};

/// An address of another machine, as far as the gateway can tell.
pub(crate) const STRANGER: &str = "127.0.0.66:0";

/// A phone in a call with the echo, hearing itself.
pub(crate) struct Bystander {
    phone: Box<dyn Phone>,
    since: Instant,
}

impl Bystander {
    /// Starts a phone and calls the echo; `user` needs an account with a phone.
    pub(crate) fn start(scene: &Scene<'_>, user: &str, port: u16) -> Self {
        let settings = scene.settings(user, port, Transport::Udp).rings();
        let mut phone = scene.phone(Model::Baresip, &settings);
        phone.call(&scene.uri("echo", Transport::Udp));
        phone.wait_established();
        let since = Instant::now();
        sleep(Duration::from_secs(1));
        Self { phone, since }
    }

    /// Returns the UDP ports that the gateway has named to this phone for media.
    pub(crate) fn media_ports(&mut self) -> Vec<u16> {
        let pattern = regex::Regex::new(r"m=audio (4\d{4}) ").expect("a pattern of ours");
        let said = self.phone.process().output();
        pattern.captures_iter(said).filter_map(|found| found[1].parse().ok()).collect()
    }

    /// Ends the call; panics unless it was clean all the time.
    #[track_caller]
    pub(crate) fn assert_undisturbed(mut self) {
        sleep(Duration::from_secs(1));
        let seconds = self.since.elapsed().as_secs_f32() * 0.97 - 0.5;
        self.phone.hang_up();
        self.phone.wait_ended();
        let heard = assert_heard(&self.phone.stop(), Demand::tone(PHONE_HZ, seconds));
        assert!(heard.gaps_s < 0.2, "the bystander's call was disturbed: {heard:?}");
    }
}

/// A gateway with accounts alice, bob and the bystander's.
pub(crate) fn scene(net: &gateway_tests::namespace::Net) -> Scene<'_> {
    Scene::with(net, |config| config.account(phone_account("bystander")))
}

/// Opens a UDP socket at a stranger's address.
pub(crate) fn stranger() -> UdpSocket {
    let socket = UdpSocket::bind(STRANGER).expect("127.0.0.0/8 is all ours");
    socket.set_read_timeout(Some(Duration::from_millis(20))).expect("a socket takes time-outs");
    socket
}

/// Counts the datagrams that wait at a socket.
pub(crate) fn drain(socket: &UdpSocket) -> usize {
    let mut buffer = [0_u8; 2048];
    let mut count = 0;
    while socket.recv_from(&mut buffer).is_ok() {
        count += 1;
    }
    count
}

/// Sends a datagram; a full queue on the way is no failure of an attacker.
pub(crate) fn fling(socket: &UdpSocket, bytes: &[u8], to: SocketAddr) {
    let _ = socket.send_to(bytes, to);
}
