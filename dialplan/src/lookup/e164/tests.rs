use super::*;
use crate::lookup::zone::Zone;
use proptest::prelude::*;

const NUMBER: &str = "+441632960083";
const NAME: &str = "3.8.0.0.6.9.2.3.6.1.4.4.e164.arpa";

fn find(zone: &str, number: &str, roots: &[&str]) -> Result<Vec<String>, LookupFault> {
    let zone = Zone::new(zone);
    let roots: Vec<String> = roots.iter().map(|root| (*root).to_owned()).collect();
    let step = |answers: &crate::lookup::Answers| {
        let mut desk = Desk::new(answers, 1);
        let mut node = Node::new(Step::Note { text: String::new() });
        look_up(&mut desk, &mut node, number, &roots).map_err(|_| desk.into_noted())
    };
    let (found, rounds) = zone.run(step);
    assert!(rounds <= 2 * (MAX_HOPS + 1), "{rounds} rounds");
    found.map(|mappings| mappings.iter().map(|mapping| mapping.address.to_string()).collect())
}

fn ok(addresses: &[&str]) -> Result<Vec<String>, LookupFault> {
    Ok(addresses.iter().map(|address| (*address).to_owned()).collect())
}

/// RFC 6116 §3.2.
#[test]
fn a_number_becomes_a_name_as_the_standard_shows() {
    assert_eq!(name_of("+442079460148", "e164.arpa").unwrap(), "8.4.1.0.6.4.9.7.0.2.4.4.e164.arpa");
    for number in ["442079460148", "+", "+44a", "+1234567890123456"] {
        assert_eq!(name_of(number, "e164.arpa"), None);
    }
}

#[test]
fn what_can_be_called_is_taken_and_the_rest_is_passed_over() {
    let zone = format!(
        r#"{NAME} NAPTR 100 51 "u" "E2U+h323" "!^\+441632960083$!h323:operator@example.com!" .
           {NAME} NAPTR 100 50 "u" "E2U+sip" "!^(\+441632960083)$!sip:\1@example.com!" .
           {NAME} NAPTR 100 52 "u" "E2U+email:mailto" "!^.*$!mailto:info@example.com!" .
           {NAME} NAPTR 100 53 "u" "E2U+xmpp" "!^.*$!xmpp:info@example.com!" ."#
    );
    assert_eq!(
        find(&zone, NUMBER, &["e164.arpa"]),
        ok(&["sip:+441632960083@example.com", "xmpp:info@example.com"])
    );
}

#[test]
fn a_lower_order_hides_a_higher_one_unless_it_gives_nothing() {
    let zone = format!(
        r#"{NAME} NAPTR 10 10 "u" "E2U+web:http" "!^.*$!http://example.com!" .
           {NAME} NAPTR 20 20 "u" "E2U+sip" "!^.*$!sip:b@example.com!" .
           {NAME} NAPTR 20 10 "u" "E2U+sip" "!^.*$!sip:a@example.com!" .
           {NAME} NAPTR 30 10 "u" "E2U+sip" "!^.*$!sip:c@example.com!" ."#
    );
    assert_eq!(
        find(&zone, NUMBER, &["e164.arpa"]),
        ok(&["sip:a@example.com", "sip:b@example.com"])
    );
}

#[test]
fn rules_lead_to_other_names_but_not_for_ever() {
    let zone = format!(
        r#"{NAME} NAPTR 10 10 "" "" "" a.example.
           a.example NAPTR 10 10 "" "" "!^\+44(.*)$!n\1.example!" .
           n1632960083.example NAPTR 10 10 "u" "E2U+pstn:tel" "!^(.*)$!tel:\1;npdi!" ."#
    );
    assert_eq!(find(&zone, NUMBER, &["e164.arpa"]), ok(&["tel:+441632960083;npdi"]));
    let circle = format!(
        "{NAME} NAPTR 10 10 \"\" \"\" \"\" a.example.\na.example NAPTR 10 10 \"\" \"\" \"\" {NAME}."
    );
    assert!(matches!(find(&circle, NUMBER, &["e164.arpa"]), Err(LookupFault::Nothing(_))));
    let mut long = format!("{NAME} NAPTR 10 10 \"\" \"\" \"\" h0.example.\n");
    for hop in 0..20 {
        long += &format!("h{hop}.example NAPTR 10 10 \"\" \"\" \"\" h{}.example.\n", hop + 1);
    }
    long += "h5.example NAPTR 20 10 \"u\" \"E2U+sip\" \"!^.*$!sip:far@example.com!\" .\n";
    assert!(matches!(find(&long, NUMBER, &["e164.arpa"]), Err(LookupFault::Nothing(_))));
}

#[test]
fn roots_are_asked_in_order_and_one_that_fails_does_not_hide_the_next() {
    let zone = format!(
        "{} NAPTR !servfail\n{} NAPTR 10 10 \"u\" \"E2U+sip\" \"!^.*$!sip:x@example.com!\" .",
        name_of(NUMBER, "private.example").unwrap(),
        NAME
    );
    assert_eq!(find(&zone, NUMBER, &["private.example", "e164.arpa"]), ok(&["sip:x@example.com"]));
    let fault = find(&zone, NUMBER, &["private.example"]).unwrap_err();
    assert_eq!(fault, LookupFault::Failed("private.example".into(), Failure::ServFail));
    let bogus = format!("{NAME} NAPTR !bogus");
    let fault = find(&bogus, NUMBER, &["e164.arpa"]).unwrap_err();
    assert_eq!(fault, LookupFault::Failed("e164.arpa".into(), Failure::Bogus));
}

/// Security row 24.
#[test]
fn a_hostile_zone_gets_nowhere() {
    for record in [
        r#"10 10 "u" "E2U+sip" "!^(a+)+$!sip:x@example.com!" ."#,
        r#"10 10 "u" "E2U+sip" "!^.*$!sip:x@example.com?Header=y%0d%0a!" ."#,
        r#"10 10 "u" "E2U+sip" "!^.*$!file:///etc/passwd!" ."#,
        r#"10 10 "u" "E2U+sip" "!^.*$!tel:+881612345678!" ."#,
        r#"10 10 "u" "E2U+sip" "!^.*$!sip:!" ."#,
        r#"10 10 "u" "E2U+xmpp" "!^.*$!sip:x@example.com!" ."#,
        r#"10 10 "u" "sip" "!^.*$!sip:x@example.com!" ."#,
        r#"10 10 "us" "E2U+sip" "!^.*$!sip:x@example.com!" ."#,
        r#"10 10 "u" "E2U+sip" "" ."#,
        r#"10 10 "" "" "" ."#,
    ] {
        let found = find(&format!("{NAME} NAPTR {record}"), NUMBER, &["e164.arpa"]);
        let is_harmless = found.is_err() || found == ok(&["sip:x@example.com"]);
        assert!(is_harmless, "{record}: {found:?}");
        if record.contains("Header") {
            assert_eq!(found, ok(&["sip:x@example.com"]), "headers are dropped");
        }
    }
}

#[test]
fn a_zone_of_many_records_and_forks_is_cut_short() {
    let mut zone = String::new();
    for at in 0..200 {
        zone += &format!("{NAME} NAPTR 10 {at} \"\" \"\" \"\" f{at}.example.\n");
        zone += &format!(
            "f{at}.example NAPTR 10 10 \"u\" \"E2U+sip\" \"!^.*$!sip:u{at}@example.com!\" .\n"
        );
    }
    let found = {
        let zone = Zone::new(&zone);
        let roots = ["e164.arpa".to_owned()];
        let step = |answers: &crate::lookup::Answers| {
            let mut desk = Desk::new(answers, 1);
            let mut node = Node::new(Step::Note { text: String::new() });
            look_up(&mut desk, &mut node, NUMBER, &roots).map_err(|_| desk.into_noted())
        };
        zone.run(step).0.unwrap()
    };
    assert!(found.len() <= MAX_RESULTS);
}

proptest! {
    #[test]
    fn no_records_panic(flags in "[usap]{0,2}", services in "[A-Za-z0-9+:]{0,20}", regexp in "[!-~]{0,40}", to in "[a-z0-9.]{0,30}") {
        let naptr = Naptr { order: 1, preference: 1, flags, services, regexp, replacement: to };
        let question = crate::lookup::Question { name: NAME.into(), kind: Kind::Naptr };
        let records = vec![Record::Naptr(naptr)];
        let answer = Answer::Found { records, ttl_s: 1, proof: Proof::Secure, is_stale: false };
        let zone = Zone { answers: [(question, answer)].into() };
        let roots = ["e164.arpa".to_owned()];
        let step = |answers: &crate::lookup::Answers| {
            let mut desk = Desk::new(answers, 1);
            let mut node = Node::new(Step::Note { text: String::new() });
            look_up(&mut desk, &mut node, NUMBER, &roots).map_err(|_| desk.into_noted())
        };
        let _ = zone.run(step);
    }
}
