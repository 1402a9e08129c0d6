//! Who reaches whom by accounts, `[[route]]` and `[[inbound]]` alone.

use super::*;

fn house() -> House {
    let rules = "[[route]]\nfrom = \"alice\"\nmatch = \"+45*\"\ntrunk = \"sip.pbx\"\n\
                 [[route]]\nfrom = \"*\"\nmatch = \"sip:*@example.org\"\ntrunk = \"sip.gone\"\n";
    let mut house = House::new(rules, "");
    house.plan.home = Home::default();
    house
}

fn cause(house: &House, inquiry: &Inquiry) -> Option<Cause> {
    house.resolve(inquiry).outcome.err().map(|(cause, _)| cause)
}

#[test]
fn all_devices_of_an_account_ring_together_the_preferred_first() {
    for to in ["procom:bob", "sip:bob@gw.test", "sip:100@gw.test", "tel:100", "tel:+4532000100"] {
        let groups =
            house().resolve(&inquiry(Some("alice"), "procom", to)).outcome.expect("routes");
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
    let house = house();
    let alice = inquiry(Some("alice"), "procom", "tel:+4532123456");
    assert_eq!(cause(&house, &alice), None);
    assert_eq!(
        cause(&house, &inquiry(Some("bob"), "procom", "tel:+4532123456")),
        Some(Cause::Forbidden)
    );
    assert_eq!(
        cause(&house, &inquiry(Some("bob"), "procom", "sip:x@example.org")),
        Some(Cause::Unreachable),
        "its trunk is not connected"
    );
}

#[test]
fn what_no_rule_allows_is_refused() {
    let house = house();
    for to in [
        "sip:x@127.0.0.1",
        "sip:x@10.0.0.1",
        "sip:x@evil.test",
        "sip:bob@gw.test:5999",
        "xmpp:x@y.test",
        "tel:112",
    ] {
        let asking = inquiry(Some("alice"), "procom", to);
        assert_eq!(cause(&house, &asking), Some(Cause::Forbidden), "{to}");
    }
    assert_eq!(
        cause(&house, &inquiry(Some("alice"), "procom", "procom:eve")),
        Some(Cause::NotFound)
    );
}

#[test]
fn a_trunk_reaches_what_inbound_says_and_no_other_trunk() {
    let house = house();
    assert_eq!(cause(&house, &inquiry(None, "sip.pbx", "sip:4512@gw.test")), None);
    assert_eq!(cause(&house, &inquiry(None, "sip.pbx", "sip:13@gw.test")), None);
    for to in
        ["sip:bob@gw.test", "tel:+4532123456", "sip:x@example.org", "procom:echo", "sip:14@gw.test"]
    {
        assert_eq!(cause(&house, &inquiry(None, "sip.pbx", to)), Some(Cause::NotFound), "{to}");
    }
}

#[test]
fn a_guest_reaches_only_what_its_token_names() {
    let house = house();
    let mut guest = inquiry(None, "procom", "procom:bob");
    guest.origin.only = Some(vec!["procom:bob".into()]);
    assert_eq!(cause(&house, &guest), None);
    for to in ["procom:alice", "procom:echo", "tel:+4532123456"] {
        guest.to = to.parse().expect("a good address");
        assert_eq!(cause(&house, &guest), Some(Cause::Forbidden), "{to}");
    }
    guest.origin.only = Some(vec!["tel:+4532123456".into()]);
    assert_eq!(
        cause(&house, &guest),
        Some(Cause::NotFound),
        "nobody here, and no trunk for guests"
    );
}

#[test]
fn an_account_without_a_device_is_unreachable_and_forgetting_an_adapter_takes_its_devices() {
    let mut house = house();
    assert_eq!(
        cause(&house, &inquiry(Some("bob"), "procom", "procom:alice")),
        Some(Cause::Unreachable)
    );
    house.reach.forget("procom");
    let asking = inquiry(Some("alice"), "procom", "procom:bob");
    assert_eq!(house.resolve(&asking).outcome.expect("the phone")[0].len(), 1);
    house.reach.forget("sip");
    assert_eq!(
        cause(&house, &inquiry(Some("alice"), "procom", "tel:+4532123456")),
        Some(Cause::Unreachable)
    );
}

#[test]
fn the_echo_answers_to_its_name() {
    for to in ["procom:echo", "sip:echo@gw.test"] {
        let groups = house().resolve(&inquiry(Some("alice"), "procom", to)).outcome;
        assert_eq!(groups, Ok(vec![vec![Route::Echo]]));
    }
}

#[test]
fn a_message_goes_to_the_account_even_while_nobody_is_there_and_to_its_phones() {
    let mut house = house();
    let ways = |house: &House, to: &str, require: Require| {
        let mut inquiry = inquiry(Some("bob"), "procom", to);
        inquiry.require = require;
        let outcome = house.resolve_for(&inquiry, None, Purpose::Message).outcome;
        outcome.map(|groups| {
            let shown = |route: &Route| match route {
                Route::Leg(leg) => {
                    assert_eq!(leg.account.as_ref().map(AccountId::as_str), Some(leg.to.name()));
                    format!("{} {}", leg.trunk, leg.contact.as_deref().unwrap_or("anywhere"))
                }
                Route::Echo => "echo".to_owned(),
            };
            groups.iter().flatten().map(shown).collect::<Vec<_>>()
        })
    };
    assert_eq!(ways(&house, "procom:alice", Require::Any).unwrap(), ["procom anywhere"]);
    let both = ["procom anywhere", "sip.local c500"];
    assert_eq!(ways(&house, "procom:bob", Require::Encrypted).unwrap(), both);
    assert_eq!(ways(&house, "procom:bob", Require::EndToEnd).unwrap_err().0, Cause::Security);
    house.reach.forget("procom");
    house.reach.forget("sip");
    assert_eq!(ways(&house, "tel:100", Require::Any).unwrap(), ["procom anywhere"]);
}
