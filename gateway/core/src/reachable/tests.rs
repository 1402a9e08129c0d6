//! Every form of address with its neighbours, and who may name which.

use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::*;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn at(text: &str) -> SocketAddr {
    SocketAddr::new(ip(text), 5060)
}

fn peer(from: &str) -> Named {
    Named::Peer { from: ip(from) }
}

/// First and last of each block, and the neighbours outside.
const TABLE: [(Kind, &[&str]); 9] = [
    (
        Kind::Public,
        &[
            "1.0.0.0",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "191.255.255.255",
            "192.0.1.0",
            "192.0.2.1",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "198.51.100.1",
            "203.0.113.1",
            "223.255.255.255",
            "2001:db8::1",
            "fbff::1",
            "fe00::1",
            "fe7f:ffff::1",
            "64:ff9b::192.0.2.1",
            "64:ff9b:1:fffe::192.0.2.1",
            "::ffff:192.0.2.1",
            "::ffff:0:192.0.2.1",
            "2002:c000:201::1",
            "2001:0:c000:201::3fff:fdfe",
            "2001:db8::5efe:192.0.2.1",
            // Not of the forms that carry an address.
            "64:ff9a::127.0.0.1",
            "64:ff9c::127.0.0.1",
            "64:ff9b:2::127.0.0.1",
            "2003:7f00:1::1",
            "2001:1::1",
            "2001:db8::5eff:127.0.0.1",
            "::fffe:0:127.0.0.1",
            "100:0:0:1::1",
        ],
    ),
    (Kind::Shared, &["100.64.0.0", "100.127.255.255", "64:ff9b::100.64.0.1", "2002:6440:1::"]),
    (
        Kind::Private,
        &[
            "10.0.0.0",
            "10.255.255.255",
            "172.16.0.0",
            "172.31.255.255",
            "192.0.0.0",
            "192.0.0.255",
            "192.168.0.0",
            "192.168.255.255",
            "198.18.0.0",
            "198.19.255.255",
            "fc00::",
            "fdff:ffff::1",
            "fec0::1",
            "feff:ffff::1",
            "::10.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:0:10.0.0.1",
            "64:ff9b::10.0.0.1",
            "2002:a00:1::",
            "2001:db8::5efe:10.0.0.1",
            "2001:db8::200:5efe:10.0.0.1",
            "64:ff9b:1::192.0.2.1",
            "64:ff9b:1:c000:2:100::",
        ],
    ),
    (
        Kind::LinkLocal,
        &["169.254.0.0", "169.254.255.255", "fe80::", "febf:ffff::1", "::ffff:169.254.169.254"],
    ),
    (
        Kind::Loopback,
        &[
            "127.0.0.0",
            "127.255.255.255",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:0:127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::7f00:1",
            "64:ff9b:1:7f00:0:100::",
            "64:ff9b:1:7f:0:1::",
            "64:ff9b:1:0:7f:0:100:0",
            "2002:7f00:1::",
            "2001:0:c000:201::80ff:fffe",
            "2001:0:7f00:1::3fff:fdfe",
            "fe80::5efe:127.0.0.1",
        ],
    ),
    (Kind::Reserved, &["240.0.0.0", "255.255.255.254", "100::", "100::ffff:ffff:ffff:ffff"]),
    (Kind::Broadcast, &["255.255.255.255", "::ffff:255.255.255.255", "2002:ffff:ffff::"]),
    (Kind::Multicast, &["224.0.0.0", "239.255.255.255", "ff00::", "ff02::1", "64:ff9b::e000:1"]),
    (
        Kind::Unspecified,
        &["0.0.0.0", "0.255.255.255", "::", "::2", "::ffff:0.0.0.0", "64:ff9b::", "2002::"],
    ),
];

/// `64:ff9b:1::/48` itself is private, whatever it carries.
fn expected(kind: Kind, text: &str) -> Kind {
    if text.starts_with("64:ff9b:1:") { kind.max(Kind::Private) } else { kind }
}

#[test]
fn each_address_is_of_its_kind_up_to_the_edges_of_the_block() {
    for (kind, addresses) in TABLE {
        for text in addresses {
            assert_eq!(Kind::of(ip(text)), expected(kind, text), "{text}");
        }
    }
}

#[test]
fn a_forbidden_kind_is_refused_even_where_the_configuration_names_it() {
    let reach = Reachable::default().with_listeners([at("192.0.2.9"), at("0.0.0.0")]);
    let reach = reach.with_host([ip("192.0.2.8")]);
    for (kind, addresses) in TABLE {
        for text in addresses.iter().filter(|_| kind.is_never()) {
            for named in [Named::Configuration, Named::Dialled, peer(text), peer("127.0.0.1")] {
                assert!(reach.judge(at(text), named).is_err(), "{text} {named:?}");
            }
        }
    }
    let ours = ["192.0.2.9", "192.0.2.8", "127.0.0.1", "127.3.2.1", "::ffff:127.0.0.1"];
    for text in ours.iter().chain(&["64:ff9b::192.0.2.9", "2002:c000:208::"]) {
        for named in [Named::Configuration, Named::Dialled, peer("127.0.0.1")] {
            let judged = reach.judge(at(text), named).map_err(|forbidden| forbidden.obstacle);
            assert_eq!(judged, Err(Obstacle::Ourselves), "{text} {named:?}");
        }
    }
    let no_port = SocketAddr::new(ip("192.0.2.1"), 0);
    assert!(reach.judge(no_port, Named::Configuration).is_err());
    // Another family and another port are not ours.
    assert!(reach.judge(at("::1"), Named::Configuration).is_ok());
    assert!(reach.judge("127.0.0.1:5070".parse().unwrap(), Named::Configuration).is_ok());
}

#[test]
fn what_is_dialled_is_public_unless_the_configuration_names_the_host() {
    let reach = Reachable::new(Scope::Public, &["PBX.example.".to_owned(), "[::1]".to_owned()])
        .with_host([ip("192.0.2.8")]);
    for text in ["10.0.0.1", "100.64.0.1", "169.254.1.1", "127.0.0.1", "fd00::1", "192.0.2.8"] {
        assert!(reach.judge_found("far.example", None, at(text)).is_err(), "{text}");
        assert_eq!(reach.judge_found("pbx.example", None, at(text)), Ok(()), "{text}");
    }
    assert_eq!(reach.judge_found("::1", None, at("::1")), Ok(()));
    assert_eq!(reach.judge_found("far.example", None, at("192.0.2.1")), Ok(()));
    assert!(reach.judge_found("pbx.example", None, at("0.0.0.0")).is_err());
}

#[test]
fn the_demo_calls_this_machine_only() {
    let reach = Reachable::new(Scope::Loopback, &[]);
    for text in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
        assert_eq!(reach.judge(at(text), Named::Dialled), Ok(()), "{text}");
    }
    for text in ["192.0.2.1", "10.0.0.1", "0.0.0.0", "64:ff9b::127.0.0.1"] {
        assert!(reach.judge(at(text), Named::Dialled).is_err(), "{text}");
    }
}

#[test]
fn a_peer_names_what_is_public_or_beside_it() {
    let reach = Reachable::default().with_host([ip("192.0.2.8"), ip("10.0.0.8")]);
    let allowed = [
        ("203.0.113.1", "192.0.2.1"),
        ("10.0.0.1", "192.0.2.1"),
        ("10.0.0.1", "10.9.0.1"),
        ("172.16.0.1", "172.31.0.1"),
        ("192.168.1.1", "192.168.2.1"),
        ("100.64.0.1", "100.100.0.1"),
        ("169.254.0.1", "169.254.0.1"),
        ("fd00:1:2:3::1", "fd00:1:2:4::1"),
        ("fe80::1", "fe80::1"),
        ("127.0.0.1", "127.0.0.2"),
        ("127.0.0.1", "::1"),
        // A PBX on our own host.
        ("10.0.0.8", "127.0.0.1"),
        ("127.0.0.1", "10.0.0.8"),
        ("192.0.2.8", "192.0.2.8"),
    ];
    for (from, to) in allowed {
        assert_eq!(reach.judge(at(to), peer(from)), Ok(()), "{from} names {to}");
    }
    let refused = [
        ("203.0.113.1", "127.0.0.1"),
        ("203.0.113.1", "10.0.0.1"),
        ("203.0.113.1", "100.64.0.1"),
        ("203.0.113.1", "fd00::1"),
        ("10.0.0.1", "127.0.0.1"),
        ("10.0.0.1", "::ffff:127.0.0.1"),
        ("10.0.0.1", "192.168.0.1"),
        ("10.0.0.1", "172.16.0.1"),
        ("10.0.0.1", "100.64.0.1"),
        ("10.0.0.1", "10.0.0.8"),
        ("203.0.113.1", "192.0.2.8"),
        ("203.0.113.1", "64:ff9b::192.0.2.8"),
        ("169.254.0.1", "169.254.0.2"),
        ("fe80::1", "fe80::2"),
        ("fd00:1:2::1", "fd00:1:3::1"),
        ("fd00:1:2::1", "10.0.0.1"),
    ];
    for (from, to) in refused {
        assert!(reach.judge(at(to), peer(from)).is_err(), "{from} names {to}");
    }
}

#[test]
fn a_refusal_says_kind_and_who_named_it_and_the_key_but_no_address() {
    let reach = Reachable::default();
    let said = |to: &str, named| reach.judge(at(to), named).unwrap_err().to_string();
    assert_eq!(
        said("10.1.2.3", Named::Dialled),
        "the address that was dialled leads to an address that is private; \
         `server` of a [[sip.trunk]] with that host allows it"
    );
    assert_eq!(
        said("127.0.0.1", peer("203.0.113.1")),
        "a message from elsewhere leads to an address that is loopback"
    );
    assert_eq!(
        said("0.0.0.0", Named::Configuration),
        "the configuration leads to an address that is unspecified; no key allows that"
    );
    assert!(!format!("{reach:?}").contains("10.1.2.3"));
}

/// Every form that carries an IPv4 address; the last byte of the prefix of each is free.
fn forms(v4: Ipv4Addr, free: u16) -> Vec<IpAddr> {
    let [a, b, c, d] = v4.octets().map(u16::from);
    // A zero in the last bytes may be the end of a shorter prefix.
    let nat64 = if a == 0 { 0 } else { free };
    let (high, low) = (a << 8 | b, c << 8 | d);
    let v6 = |segments: [u16; 8]| IpAddr::V6(Ipv6Addr::from(segments));
    vec![
        v6([0, 0, 0, 0, 0, 0xffff, high, low]),
        v6([0, 0, 0, 0, 0xffff, 0, high, low]),
        v6([0x64, 0xff9b, 0, 0, 0, 0, high, low]),
        v6([0x64, 0xff9b, 1, nat64, 0, 0, high, low]),
        v6([0x2002, high, low, free, 0, 0, 0, 1]),
        v6([0x2001, 0, 0xc000, 0x201, 0, free, !high, !low]),
        v6([0x2001, 0, high, low, 0, free, 0x3fff, 0xfdfe]),
        v6([0x2001, 0xdb8, free, 0, 0, 0x5efe, high, low]),
        v6([0x2001, 0xdb8, free, 0, 0x200, 0x5efe, high, low]),
    ]
}

fn v4() -> impl Strategy<Value = Ipv4Addr> {
    let edges = prop_oneof![
        Just([0, 0, 0, 1]),
        Just([127, 0, 0, 1]),
        Just([10, 0, 0, 1]),
        Just([169, 254, 169, 254]),
        Just([100, 64, 0, 1]),
        Just([224, 0, 0, 1]),
        Just([255; 4]),
    ];
    prop_oneof![edges, any::<[u8; 4]>()].prop_map(Ipv4Addr::from)
}

proptest! {
    #[test]
    fn a_forbidden_address_is_forbidden_in_every_form(
        v4 in v4(),
        free: u16,
        from in v4(),
        who in 0..3u8,
    ) {
        let named = match who {
            0 => Named::Configuration,
            1 => Named::Dialled,
            _ => Named::Peer { from: IpAddr::V4(from) },
        };
        let reach = Reachable::default()
            .with_listeners([at("192.0.2.9")])
            .with_host([ip("192.0.2.8")]);
        let to = |ip| SocketAddr::new(ip, 5060);
        let is_allowed = reach.judge(to(IpAddr::V4(v4)), named).is_ok();
        for form in forms(v4, free) {
            prop_assert!(Kind::of(form) >= Kind::of(IpAddr::V4(v4)), "{form}");
            prop_assert!(is_allowed || reach.judge(to(form), named).is_err(), "{form}");
        }
    }
}

#[test]
fn a_host_that_is_named_with_its_port_is_named_there_only() {
    let named = ["127.0.0.1:5070", "pbx.example", "[::1]:5070", "10.0.0.9"].map(str::to_owned);
    let reach = Reachable::new(Scope::Public, &named);
    for (host, asked, to, is_allowed) in [
        ("127.0.0.1", Some(5070), "127.0.0.1:5070", true),
        ("127.0.0.1", Some(6379), "127.0.0.1:6379", false),
        ("127.0.0.1", None, "127.0.0.1:5060", false),
        ("[::1]", Some(5070), "[::1]:5070", true),
        ("::1", Some(22), "[::1]:22", false),
        ("PBX.example.", None, "10.0.0.1:5555", true),
        ("pbx.example", Some(5061), "10.0.0.1:5061", true),
        ("pbx.example", Some(6379), "10.0.0.1:6379", false),
        ("10.0.0.9", None, "10.0.0.9:5060", true),
        ("10.0.0.9", Some(80), "10.0.0.9:80", false),
    ] {
        let judged = reach.judge_found(host, asked, to.parse().unwrap());
        assert_eq!(judged.is_ok(), is_allowed, "{host} {asked:?} {to}");
    }
}

#[test]
fn a_listener_at_all_ipv6_addresses_is_ours_by_ipv4_too() {
    let reach = Reachable::default().with_listeners(["[::]:443".parse().unwrap()]);
    for to in ["127.0.0.1:443", "[::1]:443", "[::ffff:127.0.0.1]:443"] {
        let judged = reach.judge(to.parse().unwrap(), Named::Configuration);
        assert!(judged.is_err(), "{to}");
    }
}

#[test]
fn two_private_blocks_that_begin_alike_are_two() {
    let reach = Reachable::default();
    let named = |from: &str| Named::Peer { from: from.parse().unwrap() };
    assert!(reach.judge("192.168.7.1:5060".parse().unwrap(), named("192.168.0.1")).is_ok());
    assert!(reach.judge("192.0.0.8:5060".parse().unwrap(), named("192.168.0.1")).is_err());
}
