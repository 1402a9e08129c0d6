//! Registrations: granted, refreshed, refused, ended.

use super::*;
use crate::config::Shield;
use crate::stack::flow::Transport;
use crate::testing::{flow, request, start};

fn registrar() -> Registrar {
    let mut registrar = Registrar::new(3_600);
    let shields = Shields::new(None, &[Shield::Sdes, Shield::Clear]);
    registrar.add("alice", AccountId::from("alice"), shields);
    registrar
}

fn register(number: u32, headers: &str) -> Request {
    request(&format!(
        "REGISTER sip:gw.example SIP/2.0\nVia: SIP/2.0/UDP h;branch=z9hG4bK{number}\n\
         Max-Forwards: 70\nFrom: <sip:alice@gw.example>;tag=1\nTo: <sip:alice@gw.example>\n\
         Call-ID: reg\nCSeq: {number} REGISTER\n{headers}\nContent-Length: 0"
    ))
}

fn handle(registrar: &mut Registrar, number: u32, headers: &str, now: Instant) -> Response {
    let request = register(number, headers);
    let key = |uri: &Uri| format!("at {}", uri.host().unwrap_or_default());
    registrar.handle_register("alice", &request, flow(Transport::Udp), key, now)
}

fn count(registrar: &Registrar) -> usize {
    registrar.locations("alice").unwrap().1.len()
}

#[test]
fn a_phone_is_found_until_its_time_is_up() {
    let (mut registrar, now) = (registrar(), start());
    let ok = handle(&mut registrar, 1, "Contact: <sip:a@192.0.2.7>;q=0.5;expires=120", now);
    assert_eq!(ok.status(), 200);
    assert!(ok.fields().text("Contact").unwrap().ends_with(">;expires=120"));
    let (account, locations) = registrar.locations("alice").unwrap();
    assert_eq!((account.as_str(), locations[0].preference), ("alice", 500));
    assert!(registrar.find("at 192.0.2.7").is_some());
    assert_eq!(registrar.poll_timeout(), Some(now + Duration::from_secs(120)));
    assert_eq!(registrar.handle_timeout(now + Duration::from_secs(120)), ["alice"]);
    assert_eq!(count(&registrar), 0);
}

#[test]
fn a_refresh_keeps_the_location_and_an_older_request_changes_nothing() {
    let (mut registrar, now) = (registrar(), start());
    let contact = "Contact: <sip:a@192.0.2.7>\nExpires: 600";
    assert_eq!(handle(&mut registrar, 5, contact, now).status(), 200);
    assert_eq!(handle(&mut registrar, 6, contact, now).status(), 200);
    assert!(registrar.find("at 192.0.2.7").is_some());
    assert_eq!(handle(&mut registrar, 6, "Contact: *\nExpires: 0", now).status(), 500);
    assert_eq!(handle(&mut registrar, 4, contact, now).status(), 500);
    assert_eq!(count(&registrar), 1);
}

#[test]
fn a_phone_leaves_by_zero_and_all_leave_by_the_star() {
    let (mut registrar, now) = (registrar(), start());
    handle(&mut registrar, 1, "Contact: <sip:a@192.0.2.7>, <sip:a@192.0.2.8>", now);
    handle(&mut registrar, 2, "Contact: <sip:a@192.0.2.7>;expires=0", now);
    assert_eq!(count(&registrar), 1);
    assert_eq!(handle(&mut registrar, 3, "Contact: *", now).status(), 400);
    assert_eq!(handle(&mut registrar, 4, "Contact: *\nExpires: 0", now).status(), 200);
    assert_eq!(count(&registrar), 0);
}

#[test]
fn too_short_a_time_is_refused_with_the_shortest_and_too_long_a_one_is_cut() {
    let (mut registrar, now) = (registrar(), start());
    let brief = handle(&mut registrar, 1, "Contact: <sip:a@192.0.2.7>\nExpires: 30", now);
    assert_eq!((brief.status(), brief.fields().text("Min-Expires")), (423, Some("60".to_owned())));
    let long = handle(&mut registrar, 2, "Contact: <sip:a@192.0.2.7>\nExpires: 999999", now);
    assert!(long.fields().text("Contact").unwrap().ends_with("expires=3600"));
}

#[test]
fn nobody_registers_for_another() {
    let (mut registrar, now) = (registrar(), start());
    let request = register(1, "Contact: <sip:a@192.0.2.7>");
    let key = |_: &Uri| "k".to_owned();
    let answer = registrar.handle_register("bob", &request, flow(Transport::Udp), key, now);
    assert_eq!(answer.status(), 403);
}

#[test]
fn one_account_cannot_fill_our_memory() {
    let (mut registrar, now) = (registrar(), start());
    for number in 1..50 {
        let contact = format!("Contact: <sip:a@192.0.2.7:{}>", 1_000 + number);
        handle(&mut registrar, number, &contact, now);
    }
    assert_eq!(count(&registrar), MAX_CONTACTS);
    let many = ["<sip:a@h>"; MAX_CONTACTS + 1].join(", ");
    assert_eq!(handle(&mut registrar, 99, &format!("Contact: {many}"), now).status(), 403);
}

#[test]
fn a_device_that_comes_back_elsewhere_replaces_itself() {
    let (mut registrar, now) = (registrar(), start());
    let device =
        |port: u16| format!("Contact: <sip:a@192.0.2.7:{port}>;+sip.instance=\"<urn:uuid:1>\"");
    handle(&mut registrar, 1, &device(1), now);
    handle(&mut registrar, 2, &device(2), now);
    assert_eq!(count(&registrar), 1);
}

#[test]
fn a_phone_whose_connection_closed_is_not_rung() {
    let (mut registrar, now) = (registrar(), start());
    let request = register(1, "Contact: <sip:a@192.0.2.7;transport=tls>");
    let by_tls = flow(Transport::Tls);
    registrar.handle_register("alice", &request, by_tls, |_| "k".to_owned(), now);
    assert_eq!(registrar.handle_closed(by_tls.link), ["alice"]);
    assert_eq!(count(&registrar), 0);
}
