use super::*;
use crate::lookup::zone::Zone;
use gateway_core::Address;
use gateway_core::media::{Profile, Protection};
use gateway_core::route::{LegRoute, Location, Origin, Require, Route};
use gateway_core::security::Level;
use proptest::prelude::*;

mod accounts;
mod fraud;

/// A plan, what can be reached, and a zone.
pub(super) struct House {
    pub(super) plan: Dialplan,
    pub(super) reach: Reach,
    pub(super) zone: Zone,
}

pub(super) fn phone(protection: Protection) -> Profile {
    Profile::phone(protection, false)
}

impl House {
    pub(super) fn new(rules: &str, zone: &str) -> Self {
        let accounts = [("alice", "alice"), ("bob", "bob"), ("100", "bob"), ("+4532000100", "bob")];
        let accounts = accounts.map(|(name, account)| (name.to_owned(), AccountId::from(account)));
        let inbound = |number: &str, account: &str| InboundRule {
            trunk: "sip.pbx".into(),
            number: number.into(),
            account: account.into(),
        };
        let plan = Dialplan {
            accounts: accounts.into(),
            local_hosts: vec![("gw.test".into(), vec![5060])],
            home: Home::new(Some("DK"), &[]).unwrap(),
            rules: vec![Arc::new(Rules::parse(rules).unwrap())],
            inbound: vec![inbound("+4512", "bob"), inbound("13", "echo"), inbound("14", "nobody")],
            ..Dialplan::default()
        };
        let mut reach = Reach::default();
        let location = |trunk: &str, preference| Location {
            trunk: trunk.into(),
            contact: format!("c{preference}"),
            profiles: vec![phone(Protection::Sdes)],
            preference,
        };
        reach.locate("sip", "bob".into(), vec![location("sip.local", 500)]);
        let browsers = vec![location("procom", 900), location("procom", 100)];
        reach.locate("procom", "bob".into(), browsers);
        reach.link("sip.pbx".into(), Some(vec![phone(Protection::Sdes)]));
        reach.link("sip.clear".into(), Some(vec![phone(Protection::Clear)]));
        let anywhere = vec![phone(Protection::Sdes), phone(Protection::Clear)];
        reach.link("sip.direct".into(), Some(anywhere));
        Self { plan, reach, zone: Zone::new(zone) }
    }

    pub(super) fn resolve(&self, inquiry: &Inquiry) -> Resolution {
        self.resolve_with(inquiry, None)
    }

    pub(super) fn resolve_with(&self, inquiry: &Inquiry, record: Option<&Contact>) -> Resolution {
        self.resolve_for(inquiry, record, Purpose::Call)
    }

    pub(super) fn resolve_for(
        &self,
        inquiry: &Inquiry,
        record: Option<&Contact>,
        purpose: Purpose,
    ) -> Resolution {
        let asking = Asking {
            inquiry,
            reach: &self.reach,
            record,
            purpose,
            is_end_to_end: false,
            now_s: 1_767_600_000,
            seed: 5,
        };
        let step = |answers: &Answers| match self.plan.plan(&asking, answers) {
            Progress::Ask(questions) => Err(questions),
            Progress::Done(resolution) => Ok(*resolution),
        };
        let (resolution, _) = self.zone.run(step);
        // The tree and the outcome come out of the same run: they name the same routes.
        let in_tree =
            resolution.tree.walk().filter(|step| matches!(step, Step::Route { .. })).count();
        assert_eq!(in_tree, resolution.routes.len());
        assert_eq!(resolution.outcome.is_err(), resolution.routes.is_empty());
        resolution
    }

    /// `trunk address` of every route, a group a line.
    fn routes(&self, typed: &str) -> Result<Vec<String>, (Cause, String)> {
        let resolution = self.resolve(&typing("alice", typed));
        resolution.outcome.map(|groups| {
            groups
                .iter()
                .map(|group| group.iter().map(shown).collect::<Vec<_>>().join(" + "))
                .collect()
        })
    }
}

fn shown(route: &Route) -> String {
    match route {
        Route::Echo => "echo".to_owned(),
        Route::Leg(LegRoute { trunk, to, .. }) => format!("{trunk} {to}"),
    }
}

pub(super) fn inquiry(account: Option<&str>, trunk: &str, to: &str) -> Inquiry {
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
        record: None,
        require: Require::Any,
    }
}

/// As the Procom edge asks, for what a person typed.
fn typing(account: &str, text: &str) -> Inquiry {
    let mut inquiry = inquiry(Some(account), "procom", "procom:unread");
    inquiry.dialled = Some(text.to_owned());
    inquiry
}

fn ok(routes: &[&str]) -> Result<Vec<String>, (Cause, String)> {
    Ok(routes.iter().map(|route| (*route).to_owned()).collect())
}

const TRUNK: &str = "[[route]]\nmatch = \"+45*\"\ntrunk = \"sip.pbx\"\n";
const ENUM: &str = r#"6.5.4.3.2.1.2.3.5.4.e164.example NAPTR 10 10 "u" "E2U+sip" "!^.*$!sip:info@example.org!" .
    _sips._tcp.example.org SRV 0 0 5061 h.example.org.
    h.example.org A 192.0.2.1"#;

fn enum_house(rules: &str, zone: &str) -> House {
    let mut house = House::new(rules, zone);
    house.plan.enum_roots = vec!["e164.example".into()];
    house.plan.enum_sip_trunk = Some("sip.direct".into());
    house
}

#[test]
fn a_number_goes_by_enum_first_and_by_the_trunk_where_the_dns_is_down() {
    let house = enum_house(TRUNK, ENUM);
    let both = ok(&["sip.direct sip:info@example.org", "sip.pbx tel:+4532123456"]);
    for typed in ["32 12 34 56", "+4532123456", "0045 32123456", "tel:+45-32123456"] {
        assert_eq!(house.routes(typed), both, "{typed}");
    }
    for zone in [
        "6.5.4.3.2.1.2.3.5.4.e164.example NAPTR !timeout",
        "6.5.4.3.2.1.2.3.5.4.e164.example NAPTR !bogus",
    ] {
        assert_eq!(enum_house(TRUNK, zone).routes("32123456"), ok(&["sip.pbx tel:+4532123456"]));
    }
    let resolution = house.resolve(&typing("alice", "32123456"));
    assert!(
        resolution.routes[0].notes[0].contains("tells the operator of e164.example the number")
    );
    assert!(resolution.tree.to_text().contains("E2U+sip"), "{}", resolution.tree.to_text());
    assert!(resolution.tree.to_json().contains("\"step\": \"question\""));
}

#[test]
fn the_better_protected_wins_then_the_cheaper_then_the_first() {
    let open =
        ENUM.replace("_sips._tcp.example.org SRV 0 0 5061", "_sip._udp.example.org SRV 0 0 5060");
    let house = enum_house(TRUNK, &open);
    assert_eq!(
        house.routes("32123456"),
        ok(&["sip.pbx tel:+4532123456", "sip.direct sip:info@example.org"]),
        "over UDP only clear media is left"
    );
    let rules = "[[route]]\nmatch = \"+45*\"\ntrunks = [{ trunk = \"sip.clear\" }, { trunk = \"sip.pbx\", cost = 9 }, \
                 { trunk = \"sip.cheap\", cost = 2 }]\n";
    let mut house = House::new(rules, "");
    house.reach.link("sip.cheap".into(), Some(vec![phone(Protection::Sdes)]));
    let to = "tel:+4532123456";
    assert_eq!(
        house.routes(to),
        ok(&[&format!("sip.cheap {to}"), &format!("sip.pbx {to}"), &format!("sip.clear {to}")])
    );
    let levels: Vec<Level> =
        house.resolve(&typing("alice", to)).routes.iter().map(|route| route.level).collect();
    assert_eq!(levels, [Level::Hop, Level::Hop, Level::Clear]);
}

#[test]
fn what_the_caller_or_a_rule_requires_filters() {
    let rules = "[[route]]\nmatch = \"+45*\"\ntrunks = [{ trunk = \"sip.clear\" }, { trunk = \"sip.pbx\" }]\n";
    let house = House::new(rules, "");
    let mut asking = typing("alice", "+4532123456");
    asking.require = Require::Encrypted;
    assert_eq!(house.resolve(&asking).routes.len(), 1);
    asking.require = Require::EndToEnd;
    assert_eq!(house.resolve(&asking).outcome.unwrap_err().0, Cause::Security);
    let house = House::new(&format!("{rules}require = \"encrypted\"\n"), "");
    assert_eq!(house.routes("+4532123456"), ok(&["sip.pbx tel:+4532123456"]));
}

#[test]
fn emergency_premium_and_international_numbers_are_refused_unless_named() {
    let house = House::new("[[route]]\nmatch = \"*\"\ntrunk = \"sip.pbx\"\n", "");
    for (typed, word) in [
        ("112", "emergency"),
        ("urn:service:sos", "emergency"),
        ("90123456", "premium"),
        ("+442079460018", "international"),
        ("00442079460018", "international"),
        ("sip:00442079460018@gw.test", "international"),
        ("tel:+44-20-79460018", "international"),
        ("sip:00442079460018@evil.test", "international"),
        ("sip:+881612345678@evil.test:5999", "premium"),
        ("sip:112@evil.test", "emergency"),
    ] {
        let (cause, why) = house.routes(typed).unwrap_err();
        assert_eq!(cause, Cause::Forbidden, "{typed}");
        assert!(why.contains(word), "{typed}: {why}");
    }
    assert!(house.routes("32123456").is_ok());
}

#[test]
fn enum_cannot_lead_to_a_number_that_rules_refuse() {
    let zone = r#"6.5.4.3.2.1.2.3.5.4.e164.example NAPTR 10 10 "u" "E2U+pstn:tel" "!^.*$!tel:+881612345678!" .
        6.5.4.3.2.1.2.3.5.4.e164.example NAPTR 10 20 "u" "E2U+sip" "!^.*$!sip:x@10.0.0.1!" ."#;
    let house = enum_house(
        "[[route]]\nmatch = \"+4*\"\ntrunk = \"sip.pbx\"\n[[route]]\nmatch = \"*\"\ntrunk = \"sip.pbx\"\n",
        zone,
    );
    let expected = ok(&["sip.pbx tel:+4532123456"]);
    assert_eq!(house.routes("+4532123456"), expected);
    let denied = enum_house("[[route]]\nprefix = \"+4532\"\ndeny = \"not there\"\n", ENUM);
    assert_eq!(denied.routes("+4532123456"), Err((Cause::Forbidden, "not there".into())));
}

#[test]
fn contacts_are_reached_by_name_in_the_order_of_their_preferences() {
    let mut house = House::new(
        &format!("{TRUNK}[[route]]\nmatch = \"sip:*@example.org\"\ntrunk = \"sip.direct\"\n"),
        "example.org A 192.0.2.1",
    );
    let eve = Contact::new("Eve Example").with("sip:eve@example.org", 1).with("32 12 34 56", 2);
    let twins = [Contact::new("Twin").with("1", 1), Contact::new("twin").with("2", 1)];
    let bobs = Contact::new("Bobby").with("procom:bob", 1);
    house.plan.contacts = Arc::new(Contacts::new([eve, bobs].into_iter().chain(twins).collect()));
    let expected = ok(&["sip.direct sip:eve@example.org", "sip.pbx tel:+4532123456"]);
    assert_eq!(house.routes("eve example"), expected);
    let from_phone =
        house.resolve(&inquiry(Some("alice"), "sip.local", "sip:Eve%20Example@gw.test"));
    assert_eq!(from_phone.routes.len(), 2);
    assert!(house.routes("Bobby").unwrap()[0].contains("procom:bob"));
    assert!(house.routes("twin").unwrap_err().1.contains("2 contacts"));
    assert_eq!(house.routes("nobody").unwrap_err().0, Cause::NotFound);
    let own = Contact::new("Grandma").with("+4533123456", 1);
    let resolution = house.resolve_with(&typing("alice", "grandma"), Some(&own));
    assert_eq!(resolution.outcome.unwrap().len(), 1, "the caller's own record");
}

#[test]
fn user_at_host_is_whatever_a_rule_allows() {
    let house = House::new("[[route]]\nmatch = \"xmpp:*\"\ntrunk = \"xmpp.component\"\n", "");
    assert_eq!(
        house.routes("eve@example.org"),
        Err((Cause::Unreachable, "the trunk xmpp.component is not connected now".into()))
    );
    let house = House::new(
        "[[route]]\nmatch = \"sip:*@b*\"\ntrunk = \"sip.direct\"\n",
        "xn--bcher-kva.example A 192.0.2.1",
    );
    assert!(house.routes("eve@b\u{fc}cher.example").is_err(), "rules see the ASCII form");
    let house = House::new(
        "[[route]]\nmatch = \"sip:*\"\ntrunk = \"sip.direct\"\n",
        "xn--bcher-kva.example A 192.0.2.1",
    );
    assert_eq!(
        house.routes("eve@b\u{fc}cher.example"),
        ok(&["sip.direct sip:eve@xn--bcher-kva.example"])
    );
}

#[test]
fn a_direct_route_is_as_good_as_its_servers_and_its_dns() {
    let rules = "[[route]]\nmatch = \"sip:*\"\ntrunk = \"sip.direct\"\n";
    let mixed = "_sips._tcp.a.test SRV 0 0 5061 a.test.\n_sip._udp.a.test SRV 0 0 5060 a.test.\na.test A 192.0.2.1";
    let house = House::new(rules, mixed);
    let mut asking = typing("alice", "sip:x@a.test");
    assert_eq!(house.resolve(&asking).routes[0].level, Level::Hop);
    asking.require = Require::Encrypted;
    let routes = house.resolve(&asking).routes;
    assert_eq!(shown(&routes[0].route), "sip.direct sip:x@a.test;transport=tls", "no falling back");
    let open = House::new(rules, "a.test A 192.0.2.1");
    assert_eq!(open.resolve(&asking).outcome.unwrap_err().0, Cause::Security);
    asking.require = Require::Any;
    let route = &open.resolve(&asking).routes[0];
    assert_eq!(route.level, Level::Clear);
    let Route::Leg(leg) = &route.route else { panic!("a leg") };
    assert_eq!(leg.profiles, [phone(Protection::Clear)], "keys do not leave without TLS");
    assert!(route.notes.iter().any(|note| note.contains("could be forged")), "{:?}", route.notes);
    let bogus = House::new(rules, "a.test A !bogus");
    assert_eq!(bogus.resolve(&asking).outcome.unwrap_err().0, Cause::Security);
    let gone = House::new(rules, "");
    assert_eq!(gone.resolve(&asking).outcome.unwrap_err().0, Cause::Unreachable);
}

#[test]
fn what_cannot_be_read_is_refused_with_the_place() {
    let (cause, why) = House::new("", "").routes("sip:bob@").unwrap_err();
    assert_eq!((cause, why.as_str()), (Cause::NotFound, "there is no host (at letter 9)"));
}

#[test]
fn a_broken_file_leaves_the_old_rules_in_force_and_names_its_line() {
    let config = DialplanConfig::default();
    let setup =
        Setup { config: &config, routes: &[], rules_file: Some(TRUNK), contacts_file: None };
    let plan = Dialplan::new(&setup).unwrap();
    assert_eq!(plan.rules.iter().map(|rules| rules.len()).sum::<usize>(), 1);
    let broken = format!("{TRUNK}\n[[route]]\nmatch = 7\n");
    let fault = Dialplan::new(&Setup { rules_file: Some(&broken), ..setup }).unwrap_err();
    assert!(fault.to_string().contains("line 6"), "{fault}");
    let fault = Dialplan::new(&Setup { contacts_file: Some("FN:x"), ..setup }).unwrap_err();
    assert_eq!(fault.to_string(), "the file of contacts: line 1: the line is outside of a vCard");
    let routes =
        [RuleText { trunk: Some("a".into()), regex: Some("(".into()), ..RuleText::default() }];
    let fault = Dialplan::new(&Setup { routes: &routes, ..setup }).unwrap_err();
    assert!(fault.to_string().starts_with("route[0].regex: "), "{fault}");
}

#[test]
fn rules_that_lead_in_a_circle_lead_nowhere() {
    let rules = "[[route]]\nmatch = \"a\"\nto = \"b\"\n[[route]]\nmatch = \"b\"\nto = \"a\"\n\
                 [[route]]\nmatch = \"c\"\nto = \"bob\"\n[[route]]\nregex = 'x(.*)'\nto = \"xx$1\"\n";
    let house = House::new(rules, "");
    assert_eq!(house.routes("a").unwrap_err().0, Cause::NotFound);
    assert!(house.routes("c").unwrap()[0].contains("procom:bob"));
    assert!(house.routes("x").is_err());
}

proptest! {
    #[test]
    fn rules_never_loop(
        leads in proptest::collection::vec(("[a-e*]{1,2}", "[a-e]{1,2}|[a-e]@[a-c]\\.test|tel:[0-9]{3,9}|\\$0\\$0"), 1..12),
        typed in "[a-e]{1,2}",
    ) {
        let rules: String = leads
            .iter()
            .map(|(from, to)| format!("[[route]]\nmatch = \"{from}\"\nto = \"{to}\"\n"))
            .collect();
        let house = House::new(&rules, "");
        let tree = house.resolve(&typing("alice", &typed)).tree;
        prop_assert!(tree.walk().count() < 5000);
    }

    #[test]
    fn nothing_typed_panics_or_escapes_the_rules(typed in "\\PC{0,40}") {
        let house = House::new("", "");
        let resolution = house.resolve(&typing("alice", &typed));
        for route in &resolution.routes {
            let is_here = match &route.route {
                Route::Echo => true,
                Route::Leg(leg) => leg.account.is_some(),
            };
            prop_assert!(is_here, "{typed}");
        }
    }
}
