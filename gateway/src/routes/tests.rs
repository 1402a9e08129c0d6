use super::*;
use gateway_core::media::Protection;
use gateway_core::route::{Origin, Require};

fn rule(from: &str, pattern: &str, trunk: &str) -> RouteRule {
    RouteRule { from: from.into(), pattern: pattern.into(), trunk: trunk.into() }
}

fn routes() -> Routes {
    let accounts = ["alice", "bob", "100"].map(|name| {
        let account = if name == "100" { "bob" } else { name };
        (name.to_owned(), AccountId::from(account))
    });
    let inbound =
        InboundRule { trunk: "sip.pbx".into(), number: "+4512".into(), account: "bob".into() };
    let rules =
        vec![rule("alice", "+45*", "sip.pbx"), rule("*", "sip:*@example.org", "sip.direct")];
    let limit = Duration::from_secs(60);
    let mut routes = Routes::new(
        accounts.into(),
        vec![("gw.test".into(), vec![5060])],
        rules,
        vec![inbound],
        limit,
    );
    let location = |trunk: &str, preference| Location {
        trunk: trunk.into(),
        contact: "c".into(),
        profiles: vec![Profile::phone(Protection::Sdes, false)],
        preference,
    };
    routes.locate("sip", "bob".into(), vec![location("sip.local", 500)]);
    routes.locate("procom", "bob".into(), vec![location("procom", 900), location("procom", 100)]);
    routes.link("sip.pbx".into(), Some(vec![Profile::phone(Protection::Sdes, false)]));
    routes
}

fn inquiry(account: Option<&str>, trunk: &str, to: &str) -> Inquiry {
    Inquiry {
        origin: Origin {
            trunk: trunk.into(),
            account: account.map(AccountId::from),
            asserted: Address::procom(account.unwrap_or("somebody")),
            verified: account.is_some(),
            only: None,
        },
        to: to.parse().expect("a good address"),
        dialled: None,
        require: Require::Any,
    }
}

fn cause(routes: &Routes, inquiry: &Inquiry) -> Option<Cause> {
    routes.find(inquiry).err().map(|(cause, _)| cause)
}

#[test]
fn all_devices_of_an_account_ring_together_the_preferred_first() {
    for to in ["procom:bob", "sip:bob@gw.test", "sip:100@gw.test", "tel:100"] {
        let groups = routes().find(&inquiry(Some("alice"), "procom", to)).expect("routes");
        assert_eq!(groups.len(), 1);
        let trunks: Vec<_> = groups[0]
            .iter()
            .map(|route| match route {
                Route::Leg(route) => route.trunk.as_str(),
                Route::Echo => "echo",
            })
            .collect();
        assert_eq!(trunks, ["procom", "sip.local", "procom"]);
    }
}

#[test]
fn a_rule_opens_a_trunk_to_those_it_names_only() {
    let routes = routes();
    assert!(routes.find(&inquiry(Some("alice"), "procom", "tel:+4599")).is_ok());
    assert_eq!(
        cause(&routes, &inquiry(Some("bob"), "procom", "tel:+4599")),
        Some(Cause::Forbidden)
    );
    assert_eq!(
        cause(&routes, &inquiry(Some("bob"), "procom", "sip:x@example.org")),
        Some(Cause::Unreachable),
        "its trunk is not connected"
    );
}

#[test]
fn what_no_rule_allows_is_refused() {
    let routes = routes();
    for to in [
        "sip:x@127.0.0.1",
        "sip:x@10.0.0.1",
        "sip:x@evil.test",
        "sip:bob@gw.test:5999",
        "xmpp:x@y.test",
        "tel:112",
    ] {
        assert_eq!(
            cause(&routes, &inquiry(Some("alice"), "procom", to)),
            Some(Cause::Forbidden),
            "{to}"
        );
    }
    assert_eq!(
        cause(&routes, &inquiry(Some("alice"), "procom", "procom:eve")),
        Some(Cause::NotFound)
    );
}

#[test]
fn a_trunk_reaches_what_inbound_says_and_no_other_trunk() {
    let routes = routes();
    assert!(routes.find(&inquiry(None, "sip.pbx", "sip:4512@gw.test")).is_ok());
    for to in ["sip:bob@gw.test", "tel:+4599", "sip:x@example.org", "procom:echo"] {
        assert_eq!(cause(&routes, &inquiry(None, "sip.pbx", to)), Some(Cause::NotFound), "{to}");
    }
}

#[test]
fn a_guest_reaches_only_what_its_token_names() {
    let routes = routes();
    let mut guest = inquiry(None, "procom", "procom:bob");
    guest.origin.only = Some(vec!["procom:bob".into()]);
    assert!(routes.find(&guest).is_ok());
    for to in ["procom:alice", "procom:echo", "tel:+4599"] {
        guest.to = to.parse().expect("a good address");
        assert_eq!(cause(&routes, &guest), Some(Cause::Forbidden), "{to}");
    }
}

#[test]
fn an_account_without_a_device_is_unreachable_and_forgetting_an_adapter_takes_its_devices() {
    let mut routes = routes();
    assert_eq!(
        cause(&routes, &inquiry(Some("bob"), "procom", "procom:alice")),
        Some(Cause::Unreachable)
    );
    routes.forget("procom");
    let groups = routes.find(&inquiry(Some("alice"), "procom", "procom:bob")).expect("the phone");
    assert_eq!(groups[0].len(), 1);
    routes.forget("sip");
    assert_eq!(
        cause(&routes, &inquiry(Some("alice"), "procom", "tel:+4599")),
        Some(Cause::Unreachable)
    );
}

#[test]
fn patterns_match_whole_texts() {
    for (pattern, text, is_match) in [
        ("+45*", "+4512", true),
        ("+45*", "45", false),
        ("1??", "112", true),
        ("1??", "1123", false),
        ("*", "", true),
        ("sip:*@*.org", "sip:a@b@c.org", true),
        ("a*b*c", "aXbXbXc", true),
        ("a*b", "aXbX", false),
    ] {
        assert_eq!(matches(pattern, text), is_match, "{pattern} {text}");
    }
}
