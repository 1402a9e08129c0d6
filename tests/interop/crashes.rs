//! Calls by a trunk whose one end dies: `kill -9` of the gateway with the call up, and a PBX that
//! goes away and comes back. Both ends are free afterwards, over TCP and TLS, whoever called.

#![expect(clippy::disallowed_methods, reason = "measures a real restart")]

use std::thread::sleep;
use std::time::{Duration, Instant};

use gateway_tests::baresip::Baresip;
use gateway_tests::certificates::Certificates;
use gateway_tests::config::Config;
use gateway_tests::gateway::Gateway;
use gateway_tests::interop;
use gateway_tests::kamailio::Kamailio;
use gateway_tests::namespace::Net;
use gateway_tests::phone::{Phone, Settings, Transport};
use nix::sys::signal::Signal;

use crate::scene::{PHONE_HZ, STEP, phone_account, wait_until};

/// How soon both ends must be free.
const RELEASED: Duration = Duration::from_secs(30);

/// Dora's number, and her user at the PBX.
const DORA: &str = "+4532345678";

/// A gateway registered at the PBX by `transport`, whose calls from there go to bob.
fn config(certificates: &Certificates, transport: Transport) -> Config {
    let port = if transport == Transport::Tls { Kamailio::TLS_PORT } else { Kamailio::PORT };
    Config::new(certificates).account(phone_account("bob")).tables(&format!(
        "[[sip.trunk]]\nname = \"pbx\"\n\
         server = \"sip:127.0.0.1:{port};transport={}\"\n\
         user = \"gateway\"\npassword = \"secret-gateway\"\nregister = true\n\
         protection = [\"sdes\", \"clear\"]\n\
         [[route]]\nfrom = \"bob\"\nmatch = \"+45*\"\ntrunk = \"sip.pbx\"\n\
         [[inbound]]\ntrunk = \"sip.pbx\"\nnumber = \"gateway\"\naccount = \"bob\"\n",
        transport.parameter()
    ))
}

/// A call between bob, registered here, and dora, registered at the PBX.
struct Call {
    certificates: Certificates,
    kamailio: Kamailio,
    config: Config,
    gateway: Gateway,
    bob: Baresip,
    dora: Baresip,
}

impl Call {
    fn start(net: &Net, transport: Transport, is_dora_the_caller: bool) -> Self {
        let certificates = Certificates::make(net);
        let kamailio = Kamailio::start(net, &certificates);
        let config = config(&certificates, transport);
        let gateway = Gateway::run(net, &config);
        wait_until("the gateway is registered", STEP, || {
            gateway.metrics().sum_where("link_up", "sip.pbx") == 1.0
        });
        let phone = |name: &str, port, registrar| {
            let settings = Settings::new(name, port, PHONE_HZ, &certificates)
                .registered(registrar, &format!("secret-{name}"));
            let mut phone = Baresip::start(net, &settings);
            phone.wait_registered();
            phone
        };
        let mut bob = phone("bob", 5072, config.sip());
        let mut dora = phone(DORA, 5074, kamailio.address());
        if is_dora_the_caller {
            dora.call("sip:gateway@127.0.0.1:5060");
        } else {
            bob.call(&format!("sip:{DORA}@{}", config.sip()));
        }
        bob.wait_established();
        dora.wait_established();
        sleep(Duration::from_secs(1));
        Self { certificates, kamailio, config, gateway, bob, dora }
    }
}

/// Bob registers again by himself only after minutes: he is told at his last known address.
fn killed(net: &Net, transport: Transport, is_dora_the_caller: bool) {
    let mut call = Call::start(net, transport, is_dora_the_caller);
    call.gateway.kill();
    let killed_at = Instant::now();
    let gateway = Gateway::run(net, &call.config);
    call.dora.wait_ended();
    call.bob.wait_ended();
    assert!(killed_at.elapsed() < RELEASED, "free after {:?}", killed_at.elapsed());
    gateway.assert_nothing_left();
}

/// The PBX dies and comes back, then bob hangs up: dora must hear of it.
fn cut_off(net: &Net, transport: Transport, is_dora_the_caller: bool) {
    let mut call = Call::start(net, transport, is_dora_the_caller);
    call.kamailio.process.stop_by(Signal::SIGKILL);
    sleep(Duration::from_secs(2));
    call.kamailio = Kamailio::start(net, &call.certificates);
    sleep(Duration::from_secs(3));
    call.bob.hang_up();
    let hung_up_at = Instant::now();
    call.dora.wait_event("CALL_CLOSED", RELEASED);
    assert!(hung_up_at.elapsed() < RELEASED, "free after {:?}", hung_up_at.elapsed());
    call.gateway.assert_nothing_left();
}

#[test]
fn a_killed_gateway_releases_both_ends_of_a_call_from_a_trunk_over_tls() {
    interop!(["kamailio", "baresip"], |net| {
        killed(net, Transport::Tls, true);
    });
}

#[test]
fn a_killed_gateway_releases_both_ends_of_a_call_from_a_trunk_over_tcp() {
    interop!(["kamailio", "baresip"], |net| {
        killed(net, Transport::Tcp, true);
    });
}

#[test]
fn a_killed_gateway_releases_both_ends_of_a_call_to_a_trunk_over_tls() {
    interop!(["kamailio", "baresip"], |net| {
        killed(net, Transport::Tls, false);
    });
}

#[test]
fn a_call_from_a_trunk_ends_at_its_far_end_though_the_trunk_was_away() {
    interop!(["kamailio", "baresip"], |net| {
        cut_off(net, Transport::Tls, true);
    });
}

#[test]
fn a_call_to_a_trunk_ends_at_its_far_end_though_the_trunk_was_away() {
    interop!(["kamailio", "baresip"], |net| {
        cut_off(net, Transport::Tls, false);
    });
}
