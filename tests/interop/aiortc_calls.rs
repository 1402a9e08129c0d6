//! aiortc, a second WebRTC stack, speaks `PROTOCOL.md` from Python and does a call each way.

use std::thread::sleep;
use std::time::Duration;

use gateway_tests::aiortc::Aiortc;
use gateway_tests::audio::{Demand, assert_heard};
use gateway_tests::interop;
use gateway_tests::phone::Transport;

use crate::scene::{PASSWORD, PHONE_HZ, STEP, Scene};

const PYTHON_HZ: u32 = 550;

#[test]
fn aiortc_calls_a_phone_and_is_called_by_it() {
    interop!(["baresip", "python:aiortc", "python:websockets"], |net| {
        let scene = Scene::new(net);
        let mut phone = scene.bob();
        let url = format!("ws://{}/procom", scene.config.http());
        let mut client = Aiortc::start(net, &url, "alice", PASSWORD, PYTHON_HZ);
        client.call("procom:bob");
        client.wait("answer", STEP);
        phone.wait_established();
        sleep(Duration::from_secs(5));
        client.hang_up();
        phone.wait_ended();
        scene.gateway.assert_nothing_left();
        assert_heard(&client.stop(), Demand::tone(PHONE_HZ, 3.0));
        let mut client = Aiortc::start(net, &url, "alice", PASSWORD, PYTHON_HZ);
        phone.call(&scene.uri("alice", Transport::Udp));
        client.wait("incoming", STEP);
        phone.wait_established();
        sleep(Duration::from_secs(5));
        phone.hang_up();
        assert_eq!(client.wait("end", STEP)["cause"], "normal");
        scene.gateway.assert_nothing_left();
        assert_heard(&client.stop(), Demand::tone(PHONE_HZ, 3.0));
        assert_heard(&phone.stop(), Demand::tone(PYTHON_HZ, 3.0).with_gaps(0.1));
    });
}
