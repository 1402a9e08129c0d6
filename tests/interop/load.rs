//! 200 calls at once between sipp and the built-in echo, media flowing: none lost, nothing lost on
//! the way, memory back to where it was.

use std::thread::sleep;
use std::time::Duration;

use gateway_tests::capture::Capture;
use gateway_tests::config::{Account, Config};
use gateway_tests::interop;
use gateway_tests::namespace::Net;
use gateway_tests::sipp::{Load, Sipp};

use crate::scene::{Scene, wait_until};

/// Memory the allocator may keep after such a load, KiB.
const KEPT_KIB: u64 = 16 * 1024;

/// sipp is the phone of an account, and proves it for every call.
fn account(config: Config) -> Config {
    let (user, password) = Sipp::USER;
    config.account(Account { name: user, password, sip: Some((user, password, &["clear"])) })
}

fn load(scene: &Scene<'_>, calls: u32, held: Duration) -> Load {
    Load { target: scene.config.sip(), user: "echo".into(), calls, rate: 20, held }
}

fn calls_at_once(net: &Net, calls: u32, held: Duration) {
    let scene = Scene::with(net, account);
    // The first calls fill pools and caches that stay.
    Sipp::start(net, &load(&scene, 10, Duration::from_secs(2)))
        .wait_all_well(Duration::from_secs(30));
    scene.gateway.assert_nothing_left();
    let before_kib = scene.gateway.memory_kib();
    let capture = Capture::start(net);
    let mut sipp = Sipp::start(net, &load(&scene, calls, held));
    wait_until("all calls are up", Duration::from_secs(u64::from(calls / 20) + 20), || {
        scene.gateway.metrics().sum("legs_active") >= f64::from(calls)
    });
    sipp.wait_all_well(held + Duration::from_secs(u64::from(calls / 20) + 40));
    scene.gateway.assert_nothing_left();
    let wire = capture.stop();
    let streams: Vec<_> =
        wire.streams().into_iter().filter(|stream| stream.payloads.len() > 100).collect();
    assert!(streams.len() >= 2 * calls as usize, "{} streams", streams.len());
    let lost: usize = streams.iter().map(|stream| stream.lost()).sum();
    assert_eq!(lost, 0, "packets lost on the wire");
    let metrics = scene.gateway.metrics();
    assert_eq!(metrics.sum_where("packets_total", "outcome=\"lost\""), 0.0);
    sleep(Duration::from_secs(2));
    let after_kib = scene.gateway.memory_kib();
    assert!(after_kib < before_kib + KEPT_KIB, "{before_kib} KiB became {after_kib} KiB");
}

#[test]
fn forty_calls_at_once_lose_nothing() {
    interop!(["sipp", "dumpcap"], |net| {
        calls_at_once(net, 40, Duration::from_secs(10));
    });
}

#[test]
#[ignore = "long: part of tests/nightly"]
fn two_hundred_calls_at_once_for_a_minute_lose_nothing() {
    interop!(["sipp", "dumpcap"], |net| {
        calls_at_once(net, 200, Duration::from_secs(60));
    });
}
