use super::*;
use crate::lookup::Answers;
use crate::lookup::service::{self, Service as Kinds};
use crate::lookup::zone::Zone;

fn query(text: &str) -> SipQuery {
    let address: gateway_core::Address = text.parse().unwrap();
    SipQuery {
        host: address.host.clone().unwrap(),
        port: address.port,
        transport: address.param("transport").flatten().and_then(Transport::parse),
        is_secure: address.scheme == gateway_core::Scheme::Sips,
    }
}

fn find(zone: &str, to: &str, policy: &Targets) -> Result<Vec<String>, LookupFault> {
    let (zone, query) = (Zone::new(zone), query(to));
    let step = |answers: &Answers| {
        let mut desk = Desk::new(answers, 7);
        let mut node = Node::new(Step::Note { text: String::new() });
        targets(&mut desk, &mut node, &query, policy).map_err(|_| desk.into_noted())
    };
    let (found, rounds) = zone.run(step);
    assert!(rounds <= 3, "NAPTR, SRV, addresses: {rounds} rounds");
    let shown = |target: &Target| format!("{} {}", target.transport.as_str(), target.address);
    found.map(|targets| {
        assert!(targets.iter().all(|target| target.name == query.host.trim_matches(['[', ']'])));
        targets.iter().map(shown).collect()
    })
}

fn public(zone: &str, to: &str) -> Result<Vec<String>, LookupFault> {
    find(zone, to, &Targets::Public(Vec::new()))
}

fn ok(targets: &[&str]) -> Result<Vec<String>, LookupFault> {
    Ok(targets.iter().map(|target| (*target).to_owned()).collect())
}

/// The zone of RFC 3263 §4.1 and §4.2.
const EXAMPLE: &str = r#"
    example.com NAPTR 50 50 "s" "SIPS+D2T" "" _sips._tcp.example.com.
    example.com NAPTR 90 50 "s" "SIP+D2T" "" _sip._tcp.example.com.
    example.com NAPTR 100 50 "s" "SIP+D2U" "" _sip._udp.example.com.
    _sips._tcp.example.com SRV 0 1 5061 server1.example.com.
    _sip._tcp.example.com SRV 0 1 5060 server1.example.com.
    _sip._tcp.example.com SRV 1 2 5060 server2.example.com.
    _sip._udp.example.com SRV 0 1 5060 server1.example.com.
    server1.example.com A 192.0.2.1
    server2.example.com A 192.0.2.2
"#;

#[test]
fn the_example_of_the_standard_is_followed() {
    let all = ok(&[
        "tls 192.0.2.1:5061",
        "tcp 192.0.2.1:5060",
        "tcp 192.0.2.2:5060",
        "udp 192.0.2.1:5060",
    ]);
    assert_eq!(public(EXAMPLE, "sip:user@example.com"), all);
    assert_eq!(public(EXAMPLE, "sips:user@example.com"), ok(&["tls 192.0.2.1:5061"]));
    assert_eq!(
        public(EXAMPLE, "sip:user@example.com;transport=tcp"),
        ok(&["tcp 192.0.2.1:5060", "tcp 192.0.2.2:5060"])
    );
}

#[test]
fn a_numeric_target_and_a_port_need_no_records_of_services() {
    for (to, target) in [
        ("sip:u@192.0.2.9", "udp 192.0.2.9:5060"),
        ("sips:u@192.0.2.9", "tls 192.0.2.9:5061"),
        ("sip:u@192.0.2.9:5070", "udp 192.0.2.9:5070"),
        ("sip:u@192.0.2.9;transport=tcp", "tcp 192.0.2.9:5060"),
        ("sip:u@192.0.2.9;transport=tls", "tls 192.0.2.9:5061"),
        ("sip:u@[2001:db8::9]:5070", "udp [2001:db8::9]:5070"),
        ("sip:u@server1.example.com:5070", "udp 192.0.2.1:5070"),
        ("sips:u@server1.example.com:5070", "tls 192.0.2.1:5070"),
        ("sips:u@server1.example.com;transport=udp", "tls 192.0.2.1:5061"),
        ("sip:u@server2.example.com", "udp 192.0.2.2:5060"),
    ] {
        assert_eq!(public(EXAMPLE, to), ok(&[target]), "{to}");
    }
}

#[test]
fn without_naptr_every_service_is_asked_for_at_once() {
    let zone = "_sip._udp.a.test SRV 0 0 5070 h.a.test.\n_sips._tcp.a.test SRV 0 0 5071 h.a.test.\n\
                h.a.test A 192.0.2.3\nh.a.test AAAA 2001:db8::3";
    assert_eq!(
        public(zone, "sip:u@a.test"),
        ok(&[
            "tls 192.0.2.3:5071",
            "tls [2001:db8::3]:5071",
            "udp 192.0.2.3:5070",
            "udp [2001:db8::3]:5070"
        ])
    );
}

#[test]
fn failures_are_told_and_do_not_hide_what_is_there() {
    let bogus = |name: &str| LookupFault::Failed(name.into(), Failure::Bogus);
    for (zone, fault) in [
        ("a.test NAPTR !bogus\na.test A 192.0.2.1", bogus("a.test")),
        ("_sip._udp.a.test SRV !bogus\na.test A 192.0.2.1", bogus("_sip._udp.a.test")),
        ("a.test A !bogus\na.test AAAA 2001:db8::1", bogus("a.test")),
        ("a.test NAPTR !timeout", LookupFault::Failed("a.test".into(), Failure::Timeout)),
        ("b.test A 192.0.2.1", LookupFault::Nothing("a.test".into())),
        (
            "_sip._udp.a.test SRV 0 0 0 .\na.test A 192.0.2.1",
            LookupFault::NotOffered("a.test".into()),
        ),
        ("a.test A 10.0.0.1", LookupFault::NotAllowed("a.test".into())),
    ] {
        assert_eq!(public(zone, "sip:u@a.test"), Err(fault), "{zone}");
    }
    let half = "a.test NAPTR !servfail\n_sip._tcp.a.test SRV !servfail\n\
                _sip._udp.a.test SRV 0 0 5060 dead.test.\n_sip._udp.a.test SRV 1 0 5060 h.test.\n\
                dead.test A !servfail\nh.test A 192.0.2.5\nh.test AAAA !timeout";
    assert_eq!(public(half, "sip:u@a.test"), ok(&["udp 192.0.2.5:5060"]));
    let private = "a.test A 10.0.0.1\na.test A 192.0.2.1\na.test AAAA ::1";
    assert_eq!(public(private, "sip:u@a.test"), ok(&["udp 192.0.2.1:5060"]));
    let named = Targets::Public(vec!["a.test".into()]);
    assert_eq!(find("a.test A 10.0.0.1", "sip:u@a.test", &named), ok(&["udp 10.0.0.1:5060"]));
}

#[test]
fn no_record_leads_to_this_machine_or_into_our_network() {
    for address in [
        "A 0.0.0.0",
        "A 127.0.0.1",
        "A 10.0.0.1",
        "A 100.64.0.1",
        "A 169.254.169.254",
        "A 224.0.0.1",
        "AAAA ::",
        "AAAA ::1",
        "AAAA ::ffff:127.0.0.1",
        "AAAA 64:ff9b::7f00:1",
        "AAAA 2002:7f00:1::",
        "AAAA fd00::1",
    ] {
        let refused = Err(LookupFault::NotAllowed("a.test".into()));
        assert_eq!(public(&format!("a.test {address}"), "sip:u@a.test"), refused, "{address}");
        let by_srv = format!("_sip._udp.a.test SRV 0 0 7000 h.a.test.\nh.a.test {address}");
        assert_eq!(public(&by_srv, "sip:u@a.test"), refused, "{address}");
    }
    let no_port = "_sip._udp.a.test SRV 0 0 0 h.a.test.\nh.a.test A 192.0.2.1";
    let refused = Err(LookupFault::NotAllowed("a.test".into()));
    assert_eq!(public(no_port, "sip:u@a.test"), refused);
    // A trunk's own host may be anywhere but nowhere.
    let named = Targets::Public(vec!["a.test".into()]);
    assert_eq!(find("a.test A 127.0.0.1", "sip:u@a.test", &named), ok(&["udp 127.0.0.1:5060"]));
    assert!(find("a.test A 0.0.0.0", "sip:u@a.test", &named).is_err());
}

#[test]
fn a_zone_of_a_thousand_targets_is_cut_short() {
    let mut zone = String::new();
    for at in 0..200 {
        zone += &format!("_sip._udp.a.test SRV {at} 0 5060 h{at}.test.\n");
        zone += &format!("h{at}.test A 192.0.2.{at}\n");
    }
    assert_eq!(public(&zone, "sip:u@a.test").unwrap().len(), MAX_HOSTS);
}

#[test]
fn servers_of_xmpp_and_procom_are_found_by_their_own_names() {
    let zone = Zone::new(
        "_xmpp-server._tcp.a.test SRV 5 0 5269 h.a.test.\n_xmpps-server._tcp.a.test SRV 1 0 5270 h.a.test.\n\
         h.a.test A 192.0.2.1\na.test A 192.0.2.7\n_procom._tls.a.test SRV 0 0 8443 h.a.test.\n\
         _procom._tls.b.test SRV 0 0 0 .",
    );
    let find = |kind: Kinds, domain: &str| {
        let step = |answers: &Answers| {
            let mut desk = Desk::new(answers, 7);
            let mut node = Node::new(Step::Note { text: String::new() });
            let policy = Targets::Public(Vec::new());
            service::servers(&mut desk, &mut node, kind, domain, &policy)
                .map_err(|_| desk.into_noted())
        };
        zone.run(step).0.map(|servers| {
            let shown =
                |server: &service::Server| format!("{} {}", server.address, server.is_direct_tls);
            servers.iter().map(shown).collect::<Vec<_>>()
        })
    };
    assert_eq!(
        find(Kinds::XmppServer, "a.test").unwrap(),
        ["192.0.2.1:5270 true", "192.0.2.1:5269 false"]
    );
    assert_eq!(find(Kinds::XmppClient, "a.test").unwrap(), ["192.0.2.7:5222 false"]);
    assert_eq!(find(Kinds::Procom, "a.test").unwrap(), ["192.0.2.1:8443 true"]);
    assert!(matches!(find(Kinds::Procom, "b.test"), Err(LookupFault::NotOffered(_))));
    assert!(matches!(find(Kinds::Procom, "c.test"), Err(LookupFault::NotOffered(_))));
}
