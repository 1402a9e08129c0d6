//! The dialplan against a real DNS server: signed and unsigned zones, ENUM, failures and attacks.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "the time that look-ups take is tested; helpers may fail loudly"
)]

mod common;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{KNOT, Knot, Unbound, ZoneText, in_private_network};
use dialplan::config::{DnsConfig, Targets};
use dialplan::dns::{Dns, Resolver, resolve, sip_targets};
use dialplan::lookup::{Answer, Failure, Kind, LookupFault, Proof, Question, Record};
use dialplan::{Asking, Dialplan, Home, Purpose, Reach, Resolution, Rules, SipQuery};
use gateway_core::call::Inquiry;
use gateway_core::media::{Profile, Protection};
use gateway_core::route::{Origin, Require, Route};
use gateway_core::{Address, Cause};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream, UdpSocket};

const BUDGET: Duration = Duration::from_secs(2);

const PLAIN: &str = "
v4 A 127.0.0.4
v6 AAAA ::1
alias CNAME far
far CNAME v4
loop1 CNAME loop2
loop2 CNAME loop1
short 1 A 127.0.0.9
_sip._udp.sip SRV 1 0 5060 v4
_sip._udp.sip SRV 2 0 5062 v6
_sip._udp.six SRV 0 0 5060 v6
_sip._udp.no SRV 0 0 0 .
no A 127.0.0.1
";

/// RFC 3263 §4.1 and §4.2, and RFC 2782.
const EXAMPLE: &str = "
@ NAPTR 50 50 \"s\" \"SIPS+D2T\" \"\" _sips._tcp
@ NAPTR 90 50 \"s\" \"SIP+D2T\" \"\" _sip._tcp
@ NAPTR 100 50 \"s\" \"SIP+D2U\" \"\" _sip._udp
_sips._tcp SRV 0 1 5061 server1
_sip._tcp SRV 0 1 5060 server1
_sip._tcp SRV 1 2 5060 server2
_sip._udp SRV 0 1 5060 server1
_sip._udp.old SRV 0 1 9 old-slow-box
_sip._udp.old SRV 0 3 9 new-fast-box
_sip._udp.old SRV 1 0 9 sysadmins-box
server1 A 127.0.1.1
server2 A 127.0.1.2
old-slow-box A 127.0.1.3
new-fast-box A 127.0.1.4
sysadmins-box A 127.0.1.5
";

const SIGNED: &str = "
h A 127.0.0.5
_sip._udp SRV 0 0 5060 h
alias CNAME h
out CNAME v4.plain.test.
";

/// RFC 6116: the number of its examples, a non-terminal rule, a circle, and hostile expressions.
const ENUM: &str = "
3.8.0.0.6.9.2.3.6.1.4.4 NAPTR 100 50 \"u\" \"E2U+sip\" \"!^(\\\\+441632960083)$!sip:\\\\1@signed.test!\" .
3.8.0.0.6.9.2.3.6.1.4.4 NAPTR 100 51 \"u\" \"E2U+h323\" \"!^\\\\+441632960083$!h323:operator@example.com!\" .
4.8.0.0.6.9.2.3.6.1.4.4 NAPTR 100 10 \"\" \"\" \"\" x
x NAPTR 100 10 \"u\" \"E2U+sip\" \"!^\\\\+44(.*)$!sip:0\\\\1@plain.test!\" .
5.8.0.0.6.9.2.3.6.1.4.4 NAPTR 100 10 \"\" \"\" \"\" y
y NAPTR 100 10 \"\" \"\" \"\" 5.8.0.0.6.9.2.3.6.1.4.4
6.8.0.0.6.9.2.3.6.1.4.4 NAPTR 100 10 \"u\" \"E2U+sip\" \"!^((.*)*)*b$!sip:x@evil.test!\" .
6.8.0.0.6.9.2.3.6.1.4.4 NAPTR 100 11 \"u\" \"E2U+pstn:tel\" \"!^.*$!tel:+881612345678!\" .
6.8.0.0.6.9.2.3.6.1.4.4 NAPTR 100 12 \"u\" \"E2U+sip\" \"!(.{1000}){1000}!sip:x@evil.test!\" .
";

fn big() -> String {
    let record = |at: usize| {
        let padding = "x".repeat(150);
        format!("big NAPTR 10 {at} \"u\" \"E2U+sip\" \"!^.*$!sip:u{at}{padding}@a.test!\" .\n")
    };
    (0..24).map(record).collect()
}

fn question(name: &str, kind: Kind) -> Question {
    Question { name: name.into(), kind }
}

async fn ask(resolver: &Resolver, name: &str, kind: Kind) -> Answer {
    resolver.ask(&question(name, kind)).await
}

fn proof(answer: &Answer) -> Proof {
    match answer {
        Answer::Found { proof, .. } | Answer::Nothing { proof, .. } => *proof,
        Answer::Failed(failure) => panic!("{failure}"),
    }
}

fn records(answer: &Answer) -> Vec<String> {
    match answer {
        Answer::Found { records, .. } => records.iter().map(Record::to_string).collect(),
        Answer::Nothing { .. } => Vec::new(),
        Answer::Failed(failure) => panic!("{failure}"),
    }
}

async fn targets(resolver: &Resolver, host: &str) -> Result<Vec<String>, LookupFault> {
    let query = SipQuery { host: host.into(), port: None, transport: None, is_secure: false };
    let found = sip_targets(&query, &Targets::LoopbackOnly, 1, resolver, BUDGET).await?;
    Ok(found
        .iter()
        .map(|target| format!("{} {}", target.transport.as_str(), target.address))
        .collect())
}

fn zones<'z>(big: &'z str) -> Vec<ZoneText<'z>> {
    vec![
        ("plain.test", false, Some(PLAIN)),
        ("big.test", false, Some(big)),
        ("example.com", false, Some(EXAMPLE)),
        ("signed.test", true, Some(SIGNED)),
        ("bogus.test", true, Some("h A 127.0.0.66\n")),
        ("wrong.test", true, Some("h A 127.0.0.67\n")),
        ("e164.test", true, Some(ENUM)),
        ("broken.test", false, None),
    ]
}

#[test]
fn answers_carry_what_dnssec_says_of_them() {
    in_private_network("answers_carry_what_dnssec_says_of_them", async || {
        let big = big();
        let zones = zones(&big);
        let mut knot = Knot::start("dnssec", &zones, &["wrong.test"]);
        knot.tamper(&zones, "bogus.test", "127.0.0.66", "127.0.0.99");
        let resolver = knot.resolver();
        let signed = ask(&resolver, "h.signed.test", Kind::A).await;
        assert_eq!((proof(&signed), records(&signed)), (Proof::Secure, vec!["127.0.0.5".into()]));
        let plain = ask(&resolver, "v4.plain.test", Kind::A).await;
        assert_eq!((proof(&plain), records(&plain)), (Proof::Insecure, vec!["127.0.0.4".into()]));
        let out = ask(&resolver, "out.signed.test", Kind::A).await;
        assert_eq!((proof(&out), records(&out)), (Proof::Insecure, vec!["127.0.0.4".into()]));
        let alias = ask(&resolver, "alias.signed.test", Kind::A).await;
        assert_eq!(proof(&alias), Proof::Secure);
        let nothing = ask(&resolver, "nobody.signed.test", Kind::A).await;
        assert!(matches!(nothing, Answer::Nothing { proof: Proof::Secure, .. }), "{nothing:?}");
        let nothing = ask(&resolver, "h.signed.test", Kind::Aaaa).await;
        assert!(matches!(nothing, Answer::Nothing { proof: Proof::Secure, .. }), "{nothing:?}");
        for host in ["h.bogus.test", "h.wrong.test"] {
            assert_eq!(
                ask(&resolver, host, Kind::A).await,
                Answer::Failed(Failure::Bogus),
                "{host}"
            );
            let fault = targets(&resolver, host).await.unwrap_err();
            assert!(matches!(fault, LookupFault::Failed(_, Failure::Bogus)), "{fault}");
        }
        let unchecked =
            DnsConfig { servers: vec![KNOT.into()], dnssec: false, ..DnsConfig::default() };
        let unchecked = Resolver::new(&unchecked).unwrap();
        assert_eq!(proof(&ask(&unchecked, "h.bogus.test", Kind::A).await), Proof::Unchecked);
    });
}

#[test]
fn servers_are_found_as_the_standards_show() {
    in_private_network("servers_are_found_as_the_standards_show", async || {
        let big = big();
        let knot = Knot::start("servers", &zones(&big), &[]);
        let resolver = knot.resolver();
        assert_eq!(
            targets(&resolver, "example.com").await.unwrap(),
            [
                "tls 127.0.1.1:5061",
                "tcp 127.0.1.1:5060",
                "tcp 127.0.1.2:5060",
                "udp 127.0.1.1:5060"
            ]
        );
        assert_eq!(
            targets(&resolver, "sip.plain.test").await.unwrap(),
            ["udp 127.0.0.4:5060", "udp [::1]:5062"]
        );
        assert_eq!(targets(&resolver, "six.plain.test").await.unwrap(), ["udp [::1]:5060"]);
        assert_eq!(targets(&resolver, "v6.plain.test").await.unwrap(), ["udp [::1]:5060"]);
        assert_eq!(targets(&resolver, "alias.plain.test").await.unwrap(), ["udp 127.0.0.4:5060"]);
        let fault = targets(&resolver, "no.plain.test").await.unwrap_err();
        assert_eq!(fault, LookupFault::NotOffered("no.plain.test".into()));
        let fault = targets(&resolver, "nobody.plain.test").await.unwrap_err();
        assert_eq!(fault, LookupFault::Nothing("nobody.plain.test".into()));
        let mut fast = 0;
        for seed in 0..400 {
            let query = SipQuery {
                host: "old.example.com".into(),
                port: None,
                transport: None,
                is_secure: false,
            };
            let found =
                sip_targets(&query, &Targets::LoopbackOnly, seed, &resolver, BUDGET).await.unwrap();
            fast += u32::from(found[0].address.ip().to_string() == "127.0.1.4");
            assert_eq!(found[2].address.ip().to_string(), "127.0.1.5");
        }
        assert!((250..350).contains(&fast), "3 to 1: {fast} of 400");
    });
}

fn house(to: &str) -> (Dialplan, Reach, Inquiry) {
    let rules = "[[route]]\nmatch = \"+44*\"\ntrunk = \"sip.pbx\"\nallow = [\"unknown\"]\n";
    let plan = Dialplan {
        home: Home::new(Some("GB"), &[]).unwrap(),
        rules: vec![Arc::new(Rules::parse(rules).unwrap())],
        enum_roots: vec!["e164.test".into()],
        enum_sip_trunk: Some("sip.direct".into()),
        targets: Targets::LoopbackOnly,
        ..Dialplan::default()
    };
    let mut reach = Reach::default();
    for trunk in ["sip.pbx", "sip.direct"] {
        let profiles = vec![Profile::phone(Protection::Clear, false)];
        reach.link(trunk.into(), Some(profiles));
    }
    let origin = Origin {
        trunk: "procom".into(),
        account: Some("alice".into()),
        asserted: Address::procom("alice"),
        verified: true,
        only: None,
    };
    let inquiry = Inquiry {
        origin,
        to: Address::procom("unread"),
        dialled: Some(to.to_owned()),
        record: None,
        require: Require::Any,
    };
    (plan, reach, inquiry)
}

async fn call(resolver: &Resolver, to: &str) -> (Vec<String>, Resolution) {
    let (plan, reach, inquiry) = house(to);
    let asking = Asking {
        inquiry: &inquiry,
        reach: &reach,
        record: None,
        purpose: Purpose::Call,
        is_end_to_end: false,
        now_s: 0,
        seed: 1,
    };
    let resolution = resolve(&plan, &asking, resolver, BUDGET).await;
    let shown = resolution.routes.iter().map(|route| match &route.route {
        Route::Leg(leg) => format!("{} {}", leg.trunk, leg.to),
        Route::Echo => "echo".to_owned(),
    });
    (shown.collect(), resolution)
}

#[test]
fn numbers_go_by_enum_and_hostile_records_get_nowhere() {
    in_private_network("numbers_go_by_enum_and_hostile_records_get_nowhere", async || {
        let big = big();
        let knot = Knot::start("enum", &zones(&big), &[]);
        let resolver = knot.resolver();
        let (routes, resolution) = call(&resolver, "01632 960083").await;
        let trunk = "sip.pbx tel:+441632960083";
        assert_eq!(routes, ["sip.direct sip:+441632960083@signed.test", trunk]);
        let text = resolution.tree.to_text();
        assert!(text.contains("[secure]") && text.contains("target udp 127.0.0.5:5060"), "{text}");
        assert!(!resolution.routes[0].notes.iter().any(|note| note.contains("forged")), "{text}");
        let trunk = "sip.pbx tel:+441632960084";
        let (routes, _) = call(&resolver, "+441632960084").await;
        assert_eq!(routes, [trunk], "plain.test has no server");
        assert_eq!(
            call(&resolver, "+441632960085").await.0,
            ["sip.pbx tel:+441632960085"],
            "a circle"
        );
        let begun = Instant::now();
        assert_eq!(call(&resolver, "+441632960086").await.0, ["sip.pbx tel:+441632960086"]);
        assert!(begun.elapsed() < Duration::from_secs(2));
    });
}

#[test]
fn failures_cost_no_more_than_the_budget() {
    in_private_network("failures_cost_no_more_than_the_budget", async || {
        let big = big();
        let mut knot = Knot::start("failures", &zones(&big), &[]);
        let silent = UdpSocket::bind("127.0.0.2:5300").await.unwrap();
        let servfail = ask(&knot.resolver(), "h.broken.test", Kind::A).await;
        assert_eq!(servfail, Answer::Failed(Failure::ServFail));
        let looped = ask(&knot.resolver(), "loop1.plain.test", Kind::A).await;
        assert!(!matches!(looped, Answer::Found { .. }), "{looped:?}");

        let second = Resolver::new(&knot.dns(&["127.0.0.2:5300", KNOT])).unwrap();
        let begun = Instant::now();
        assert_eq!(targets(&second, "v4.plain.test").await.unwrap(), ["udp 127.0.0.4:5060"]);
        assert!(begun.elapsed() < BUDGET + Duration::from_millis(300), "{:?}", begun.elapsed());

        let alone = Resolver::new(&knot.dns(&["127.0.0.2:5300"])).unwrap();
        let begun = Instant::now();
        let fault = targets(&alone, "v4.plain.test").await.unwrap_err();
        assert_eq!(fault, LookupFault::Failed("v4.plain.test".into(), Failure::Timeout));
        assert!(begun.elapsed() < BUDGET + Duration::from_millis(300), "{:?}", begun.elapsed());
        let begun = Instant::now();
        assert_eq!(call(&alone, "01632 960083").await.0, ["sip.pbx tel:+441632960083"]);
        assert!(begun.elapsed() < BUDGET + Duration::from_millis(300), "{:?}", begun.elapsed());

        let resolver = knot.resolver();
        assert_eq!(records(&ask(&resolver, "short.plain.test", Kind::A).await), ["127.0.0.9"]);
        knot.stop();
        tokio::time::sleep(Duration::from_millis(1200)).await;
        let stale = ask(&resolver, "short.plain.test", Kind::A).await;
        assert!(matches!(stale, Answer::Found { is_stale: true, .. }), "{stale:?}");
        drop(silent);
    });
}

#[test]
fn what_does_not_fit_a_datagram_comes_by_a_stream() {
    in_private_network("what_does_not_fit_a_datagram_comes_by_a_stream", async || {
        let big = big();
        let knot = Knot::start("big", &zones(&big), &[]);
        let answer = ask(&knot.resolver(), "big.big.test", Kind::Naptr).await;
        assert_eq!(records(&answer).len(), 24);
    });
}

/// Somebody who cannot see the question answers it: with another id, for another name.
#[test]
fn a_forged_answer_is_not_taken() {
    in_private_network("a_forged_answer_is_not_taken", async || {
        let forger = UdpSocket::bind("127.0.0.3:5300").await.unwrap();
        let task = tokio::spawn(async move {
            let mut query = [0; 1500];
            loop {
                let (length, source) = forger.recv_from(&mut query).await.unwrap();
                let question_end =
                    12 + query[12..length].iter().position(|byte| *byte == 0).unwrap() + 5;
                let record = [0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 0, 0, 4, 6, 6, 6, 6];
                let mut reply = query[..question_end].to_vec();
                reply[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
                reply.extend(record);
                let mut other_id = reply.clone();
                other_id[0] ^= 0x55;
                let mut other_name = reply.clone();
                other_name[13] ^= 1;
                for forged in [other_id, other_name] {
                    forger.send_to(&forged, source).await.unwrap();
                }
            }
        });
        let config = DnsConfig {
            servers: vec!["127.0.0.3:5300".into()],
            dnssec: false,
            ..DnsConfig::default()
        };
        let answer = ask(&Resolver::new(&config).unwrap(), "v4.plain.test", Kind::A).await;
        assert!(matches!(answer, Answer::Failed(_)), "{answer:?}");
        task.abort();
    });
}

#[test]
fn questions_go_over_tls_where_the_configuration_says_so() {
    in_private_network("questions_go_over_tls_where_the_configuration_says_so", async || {
        let big = big();
        let knot = Knot::start("tls", &zones(&big), &[]);
        let certified = rcgen::generate_simple_self_signed(["dns.test".to_owned()]).unwrap();
        let ca = knot.folder.join("ca.pem");
        std::fs::write(&ca, certified.cert.pem()).unwrap();
        let key = rustls::pki_types::PrivateKeyDer::try_from(certified.signing_key.serialize_der())
            .unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let server = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certified.cert.der().clone()], key)
            .unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(server));
        let listener = TcpListener::bind("127.0.0.1:8853").await.unwrap();
        let front = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                tokio::spawn(async move {
                    let mut knot =
                        TcpStream::connect(KNOT.parse::<SocketAddr>().unwrap()).await.unwrap();
                    let _ = copy_bidirectional(&mut stream, &mut knot).await;
                });
            }
        });
        let mut config = knot.dns(&["tls://127.0.0.1:8853#dns.test"]);
        config.ca = Some(ca);
        let answer = ask(&Resolver::new(&config).unwrap(), "h.signed.test", Kind::A).await;
        assert_eq!((proof(&answer), records(&answer)), (Proof::Secure, vec!["127.0.0.5".into()]));
        config.servers = vec!["tls://127.0.0.1:8853#other.test".into()];
        let answer = ask(&Resolver::new(&config).unwrap(), "h.signed.test", Kind::A).await;
        assert!(matches!(answer, Answer::Failed(_)), "a certificate of another name: {answer:?}");
        front.abort();
    });
}

#[test]
fn questions_go_over_https_where_the_configuration_says_so() {
    in_private_network("questions_go_over_https_where_the_configuration_says_so", async || {
        let big = big();
        let knot = Knot::start("https", &zones(&big), &[]);
        let certified = rcgen::generate_simple_self_signed(["dns.test".to_owned()]).unwrap();
        let ca = knot.folder.join("certificate.pem");
        std::fs::write(&ca, certified.cert.pem()).unwrap();
        std::fs::write(knot.folder.join("key.pem"), certified.signing_key.serialize_pem()).unwrap();
        let _unbound = Unbound::start(&knot.folder, 8443);
        let mut config = knot.dns(&["https://127.0.0.1:8443/dns-query#dns.test"]);
        config.ca = Some(ca);
        let answer = ask(&Resolver::new(&config).unwrap(), "h.signed.test", Kind::A).await;
        assert_eq!((proof(&answer), records(&answer)), (Proof::Secure, vec!["127.0.0.5".into()]));
        for other in
            ["https://127.0.0.1:8443/dns-query#other.test", "https://127.0.0.1:8443/no#dns.test"]
        {
            config.servers = vec![other.into()];
            let answer = ask(&Resolver::new(&config).unwrap(), "h.signed.test", Kind::A).await;
            assert!(matches!(answer, Answer::Failed(_)), "another name or path: {answer:?}");
        }
    });
}

#[test]
fn an_unprotected_way_is_refused_where_protection_is_asked_for() {
    in_private_network("an_unprotected_way_is_refused_where_protection_is_asked_for", async || {
        let big = big();
        let knot = Knot::start("require", &zones(&big), &[]);
        let resolver = knot.resolver();
        let (plan, reach, mut inquiry) = house("+441632960083");
        inquiry.require = Require::Encrypted;
        let asking = Asking {
            inquiry: &inquiry,
            reach: &reach,
            record: None,
            purpose: Purpose::Call,
            is_end_to_end: false,
            now_s: 0,
            seed: 1,
        };
        let resolution = resolve(&plan, &asking, &resolver, BUDGET).await;
        assert_eq!(resolution.outcome.unwrap_err().0, Cause::Security);
    });
}
