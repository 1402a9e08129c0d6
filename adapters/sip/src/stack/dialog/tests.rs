//! Dialogs: what is let in, where requests go, what survives a crash.

use std::net::{IpAddr, Ipv4Addr};

use proptest::prelude::*;

use super::*;
use crate::stack::flow::LinkId;
use crate::stack::transaction::Timers;
use crate::stack::wire::Response;
use crate::testing::{flow, invite, request, start};

fn anywhere() -> Arc<Reachable> {
    Arc::default()
}

fn answering() -> Dialog {
    let text = invite("z9hG4bK1")
        .replace("Contact:", "Record-Route: <sip:p1.example;lr>, <sip:192.0.2.9;lr>\nContact:");
    Dialog::answering(&request(&text), "g1", flow(Transport::Udp), &anywhere()).unwrap()
}

fn from_peer(method: &str, number: u32) -> Request {
    request(&format!(
        "{method} sip:gw@192.0.2.1 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK{number}\n\
         Max-Forwards: 70\nFrom: <sip:alice@gw.example>;tag=a1\nTo: <sip:bob@gw.example>;tag=g1\n\
         Call-ID: call-1@192.0.2.7\nCSeq: {number} {method}\nContent-Length: 0"
    ))
}

#[test]
fn the_route_set_is_kept_in_order_by_the_answerer() {
    let mut dialog = answering();
    let bye = dialog.request(&Method::Bye);
    assert_eq!(bye.fields().texts("Route"), ["<sip:p1.example;lr>", "<sip:192.0.2.9;lr>"],);
    assert_eq!(bye.uri().to_text(), "sip:alice@192.0.2.7:5060");
    assert_eq!(bye.fields().text("CSeq").as_deref(), Some("1 BYE"));
    assert_eq!(bye.fields().from().unwrap().tag(), Some("g1"));
    assert_eq!(bye.fields().to().unwrap().tag(), Some("a1"));
}

#[test]
fn the_route_set_is_reversed_by_the_caller() {
    let sent = request(&invite("z9hG4bK1"));
    let mut ok = Response::to_request(&sent, 200);
    ok.tag_to("b1");
    ok.push("Record-Route", "<sip:far.example;lr>");
    ok.push("Record-Route", "<sip:near.example;lr>");
    ok.push("Contact", "<sip:bob@198.51.100.4>");
    let target = flow(Transport::Udp).into();
    let dialog = Dialog::calling(&sent, &ok, &target, flow(Transport::Udp), &anywhere()).unwrap();
    let ack = dialog.ack(1);
    assert_eq!(ack.fields().texts("Route"), ["<sip:near.example;lr>", "<sip:far.example;lr>"],);
    assert_eq!(ack.fields().text("CSeq").as_deref(), Some("1 ACK"));
}

#[test]
fn a_strict_router_gets_its_own_uri_as_request_uri() {
    let text = invite("z9hG4bK1")
        .replace("Contact:", "Record-Route: <sip:old.example>, <sip:new.example;lr>\nContact:");
    let mut dialog =
        Dialog::answering(&request(&text), "g1", flow(Transport::Udp), &anywhere()).unwrap();
    let bye = dialog.request(&Method::Bye);
    assert_eq!(bye.uri().to_text(), "sip:old.example");
    assert_eq!(bye.fields().texts("Route"), ["<sip:new.example;lr>", "<sip:alice@192.0.2.7:5060>"],);
}

#[test]
fn only_the_peer_in_order_is_let_in() {
    let mut dialog = answering();
    let peer = flow(Transport::Udp);
    assert_eq!(dialog.admit(&from_peer("INFO", 2), peer), Ok(()));
    assert_eq!(dialog.admit(&from_peer("INFO", 2), peer), Err(Stray::OutOfOrder));
    let other_port = Flow { remote: "192.0.2.7:5999".parse().unwrap(), ..peer };
    assert_eq!(dialog.admit(&from_peer("BYE", 3), other_port), Err(Stray::Elsewhere));
    let other_host = Flow { remote: "203.0.113.1:5060".parse().unwrap(), ..peer };
    assert_eq!(dialog.admit(&from_peer("BYE", 3), other_host), Err(Stray::Elsewhere));
    let other_wire = Flow { transport: Transport::Tcp, ..peer };
    assert_eq!(dialog.admit(&from_peer("BYE", 3), other_wire), Err(Stray::Elsewhere));
    assert_eq!(dialog.admit(&from_peer("BYE", 3), peer), Ok(()));
}

#[test]
fn a_peer_may_come_back_by_a_new_connection_of_its_host() {
    let text = invite("z9hG4bK1").replace("UDP", "TLS");
    let mut dialog =
        Dialog::answering(&request(&text), "g1", flow(Transport::Tls), &anywhere()).unwrap();
    let again = Flow {
        link: LinkId(9),
        remote: "192.0.2.7:41000".parse().unwrap(),
        ..flow(Transport::Tls)
    };
    assert_eq!(dialog.admit(&from_peer("INVITE", 2), again), Ok(()));
    dialog.refresh(None, again);
    assert_eq!(dialog.target().link, Some(LinkId(9)));
}

#[test]
fn who_is_connected_to_anew_must_be_who_the_next_hop_names() {
    let text = invite("z9hG4bK1").replace("UDP", "TLS");
    let by_contact =
        Dialog::answering(&request(&text), "g1", flow(Transport::Tls), &anywhere()).unwrap();
    assert_eq!(by_contact.target().server_name.as_deref(), Some("192.0.2.7"));
    let text = text.replace("Contact:", "Record-Route: <sip:p1.example;lr>\nContact:");
    let mut dialog =
        Dialog::answering(&request(&text), "g1", flow(Transport::Tls), &anywhere()).unwrap();
    assert_eq!(dialog.target().server_name.as_deref(), Some("p1.example"));
    let snapshot = dialog.snapshot();
    assert_eq!(
        snapshot.revive(&anywhere()).unwrap().target().server_name.as_deref(),
        Some("p1.example")
    );
    let remote = "198.51.100.4:5061".parse().unwrap();
    let name = Some("provider.example".to_owned());
    dialog.reach_by(&Target { server_name: name.clone(), ..Target::new(Transport::Tls, remote) });
    assert_eq!((dialog.target().remote, dialog.target().server_name), (remote, name));
    // Where the peer's messages come from now is no place to connect to.
    let again = Flow { remote: "192.0.2.7:41000".parse().unwrap(), ..flow(Transport::Tls) };
    dialog.refresh(None, again);
    assert_eq!(dialog.target().remote, remote);
}

#[test]
fn a_peer_behind_a_nat_is_answered_where_it_was_seen() {
    let text = invite("z9hG4bK1").replace("alice@192.0.2.7:5060", "alice@10.0.0.5:5060");
    let dialog =
        Dialog::answering(&request(&text), "g1", flow(Transport::Udp), &anywhere()).unwrap();
    assert_eq!(dialog.target().remote, flow(Transport::Udp).remote);
    let moved = invite("z9hG4bK1").replace("alice@192.0.2.7:5060", "alice@192.0.2.7:5070");
    let dialog =
        Dialog::answering(&request(&moved), "g1", flow(Transport::Udp), &anywhere()).unwrap();
    assert_eq!(dialog.target().remote.port(), 5070);
}

#[test]
fn a_revived_dialog_hangs_up_with_a_higher_number() {
    let mut dialog = answering();
    let before = dialog.request(&Method::Info).fields().cseq().unwrap().0;
    let mut revived = dialog.snapshot().revive(&anywhere()).unwrap();
    let bye = revived.request(&Method::Bye);
    assert!(bye.fields().cseq().unwrap().0 > before);
    assert_eq!(bye.uri(), dialog.request(&Method::Bye).uri());
    assert_eq!(revived.id(), dialog.id());
    assert_eq!(revived.target().remote, dialog.target().remote);
}

#[test]
fn an_unacknowledged_answer_is_repeated_for_32_seconds() {
    let now = start();
    let mut repeat = Repeat::new(Timers::default(), now);
    let mut times = Vec::new();
    while !repeat.is_given_up(repeat.poll_timeout()) {
        let at = repeat.poll_timeout();
        assert!(repeat.handle_timeout(at));
        times.push((at - now).as_millis());
    }
    assert_eq!(times[..5], [500, 1500, 3500, 7500, 11500]);
    assert_eq!(repeat.poll_timeout(), now + std::time::Duration::from_secs(32));
}

/// We listen at every address of the host, port 5060; one address of the host is 192.0.2.1.
fn here() -> Arc<Reachable> {
    let bound = "0.0.0.0:5060".parse().unwrap();
    let reach = Reachable::default().with_listeners([bound]);
    Arc::new(reach.with_host(["192.0.2.1".parse().unwrap()]))
}

/// Where a request goes in a call that comes from `from` by this many hops and names `place`.
fn led(from: &str, hops: usize, place: &str) -> SocketAddr {
    let via = "Via: SIP/2.0/UDP 192.0.2.99;branch=z9hG4bKfar\n".repeat(hops - 1);
    let text = invite("z9hG4bK1")
        .replace("Max-Forwards", &format!("{via}Max-Forwards"))
        .replace("alice@192.0.2.7:5060", &format!("alice@{place}"));
    let from = Flow { remote: from.parse().unwrap(), ..flow(Transport::Udp) };
    Dialog::answering(&request(&text), "g1", from, &here()).unwrap().target().remote
}

#[test]
fn a_phone_behind_the_nat_of_a_carrier_is_answered_where_it_was_seen() {
    assert_eq!(
        led("203.0.113.9:40000", 1, "100.64.0.5:5060"),
        "203.0.113.9:40000".parse().unwrap()
    );
}

#[test]
fn a_proxy_in_our_network_leads_to_whom_it_serves() {
    assert_eq!(led("10.0.0.2:5060", 2, "10.1.0.77:5060"), "10.1.0.77:5060".parse().unwrap());
    assert_eq!(led("10.0.0.2:5060", 2, "127.0.0.1:5070"), "10.0.0.2:5060".parse().unwrap());
    assert_eq!(led("10.0.0.2:5060", 2, "192.168.1.7:5060"), "10.0.0.2:5060".parse().unwrap());
}

#[test]
fn a_pbx_on_our_own_host_is_followed_to_another_port_and_never_to_ourselves() {
    for from in ["127.0.0.1:5070", "192.0.2.1:5070"] {
        let ip = from.split(':').next().unwrap();
        let other = format!("{ip}:5080");
        assert_eq!(led(from, 1, &other), other.parse().unwrap());
        assert_eq!(led(from, 1, &format!("{ip}:5060")), from.parse().unwrap());
        assert_eq!(led(from, 2, "127.0.0.2:5070"), "127.0.0.2:5070".parse().unwrap());
    }
    // The same from elsewhere.
    for place in ["127.0.0.1:5080", "192.0.2.1:5080"] {
        assert_eq!(led("203.0.113.9:5060", 2, place), "203.0.113.9:5060".parse().unwrap());
    }
}

#[test]
fn a_link_local_peer_is_reached_by_the_link_it_was_seen_on() {
    let seen: SocketAddr = "[fe80::7%3]:5060".parse().unwrap();
    let text = invite("z9hG4bK1").replace("alice@192.0.2.7:5060", "alice@[fe80::7]:5070");
    let from = Flow { remote: seen, ..flow(Transport::Udp) };
    let dialog = Dialog::answering(&request(&text), "g1", from, &here()).unwrap();
    assert_eq!(dialog.target().remote, "[fe80::7%3]:5070".parse().unwrap());
}

/// Addresses of all kinds, those that matter often.
fn place() -> impl Strategy<Value = SocketAddr> {
    let v4 = prop_oneof![
        Just([127, 0, 0, 1]),
        Just([0, 0, 0, 0]),
        Just([10, 0, 0, 1]),
        Just([192, 168, 1, 1]),
        Just([100, 64, 0, 1]),
        Just([169, 254, 169, 254]),
        Just([192, 0, 2, 1]),
        Just([224, 0, 0, 1]),
        any::<[u8; 4]>(),
    ];
    let v4 = v4.prop_map(Ipv4Addr::from).boxed();
    let mapped = v4.clone().prop_map(|v4| IpAddr::V6(v4.to_ipv6_mapped()));
    let nat64 = v4
        .clone()
        .prop_map(|v4| IpAddr::V6((0x0064_ff9b_u128 << 96 | u128::from(u32::from(v4))).into()));
    let six = v4.clone().prop_map(|v4| {
        IpAddr::V6((0x2002_u128 << 112 | u128::from(u32::from(v4)) << 80 | 1).into())
    });
    let v6 = any::<u128>().prop_map(|bits| IpAddr::V6(bits.into()));
    let ip = prop_oneof![3 => v4.prop_map(IpAddr::V4), 1 => mapped, 1 => nat64, 1 => six, 1 => v6];
    let port = prop_oneof![Just(5060), Just(0), any::<u16>()];
    (ip, port).prop_map(|(ip, port)| SocketAddr::new(ip, port))
}

proptest! {
    #[test]
    fn a_request_goes_where_the_peer_was_seen_or_where_the_judge_allows(
        from in place(),
        contact in place(),
        route in proptest::option::of(place()),
        moved in proptest::option::of(place()),
        is_ours: bool,
        hops in 1..3usize,
    ) {
        let reach = here();
        let via = "Via: SIP/2.0/UDP 192.0.2.99;branch=z9hG4bKfar\n".repeat(hops - 1);
        let mut text = invite("z9hG4bK1")
            .replace("Max-Forwards", &format!("{via}Max-Forwards"))
            .replace("alice@192.0.2.7:5060", &format!("alice@{contact}"));
        if let Some(route) = route {
            text = text.replace("Contact:", &format!("Record-Route: <sip:{route};lr>\nContact:"));
        }
        let flow = Flow { remote: from, ..flow(Transport::Udp) };
        let asked = request(&text);
        let made = if is_ours {
            let mut ok = Response::to_request(&asked, 200);
            ok.tag_to("b1");
            ok.push("Contact", &format!("<sip:bob@{contact}>"));
            Dialog::calling(&asked, &ok, &flow.into(), flow, &reach)
        } else {
            Dialog::answering(&asked, "g1", flow, &reach)
        };
        let Some(mut dialog) = made else { return Ok(()) };
        if let Some(moved) = moved {
            dialog.refresh(NameAddr::parse(&format!("<sip:alice@{moved}>")), flow);
        }
        let revived = dialog.snapshot().revive(&reach).unwrap();
        for target in [dialog.target().remote, revived.target().remote] {
            let judged = reach.judge(target, Named::Peer { from: from.ip() });
            prop_assert!(target == from || judged.is_ok(), "{from} led to {target}");
        }
    }
}
