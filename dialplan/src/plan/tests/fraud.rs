//! No spelling and no length of a refused number reaches a provider; honest numbers do, in one form.

use super::*;
use proptest::sample::select;

/// Numbers that are refused in Denmark without a rule that names or allows them.
const REFUSED: [&str; 8] = [
    "+4590112233",
    "+449098790000",
    "+19765550123",
    "+870776123456",
    "+882161234567",
    "+442079460018",
    "112",
    "911",
];

const RULES: [&str; 3] = [
    "[[route]]\nmatch = \"*\"\ntrunk = \"sip.pbx\"\n",
    "[[route]]\nmatch = \"+45*\"\ntrunk = \"sip.pbx\"\n[[route]]\nregex = '.*'\ntrunk = \"sip.pbx\"\n",
    "[[route]]\nmatch = \"*\"\ntrunk = \"sip.pbx\"\nallow = [\"unknown\"]\n",
];

fn leaves(house: &House, inquiry: &Inquiry, purpose: Purpose) -> Vec<String> {
    let routes = house.resolve_for(inquiry, None, purpose).routes;
    routes.iter().map(|route| shown(&route.route)).filter(|to| to.contains("sip.pbx")).collect()
}

/// Typed into the page, and dialled at a phone if it is an address.
fn leaves_anyhow(house: &House, text: &str) -> Vec<String> {
    let from_phone = text
        .parse::<Address>()
        .ok()
        .map(|to| Inquiry { to, ..inquiry(Some("alice"), "sip.local", "procom:unread") });
    let all = [typing("alice", text)].into_iter().chain(from_phone);
    all.flat_map(|inquiry| {
        [Purpose::Call, Purpose::Message].map(|purpose| leaves(house, &inquiry, purpose)).concat()
    })
    .collect()
}

/// Writes digits in one of the ways that people and attackers know.
fn spell(digits: &str, way: usize, at: usize) -> String {
    let at = 1 + at % (digits.len() - 1).max(1);
    let (front, back) = digits.split_at(at.min(digits.len()));
    let international = digits.replacen('+', "00", 1);
    let full_width = |c: char| match c {
        '+' => '\u{ff0b}',
        digit => char::from_u32(0xff10 + digit.to_digit(10).unwrap()).unwrap(),
    };
    let arabic = |c: char| match c.to_digit(10) {
        Some(value) => char::from_u32(0x660 + value).unwrap(),
        None => c,
    };
    match way {
        0 => digits.to_owned(),
        1 => international,
        2 => format!("tel:{digits}"),
        3 => format!("tel:{front}-{back}"),
        4 => format!("sip:{digits}@gw.test"),
        5 => format!("sip:{front}-{back}@gw.test;user=phone"),
        6 => format!("sip:{}@gw.test", digits.replacen('+', "%2B", 1)),
        7 => format!("sip:{digits};ext=9@elsewhere.test"),
        8 => format!("sip:{front}%20{back}@elsewhere.test"),
        9 => format!("procom:{front}-{back}"),
        10 => format!("procom:{front}%20{back}"),
        11 => format!("im:{front}.{back}@elsewhere.test"),
        12 => format!("xmpp:{front}-{back}@gw.test"),
        13 => format!("sms:{digits}?body=x"),
        14 => format!("sip:{front}({back})@elsewhere.test"),
        15 => digits.chars().map(full_width).collect(),
        16 => digits.chars().map(arabic).collect(),
        17 => format!("sip:{front}%E2%80%8D{back}@elsewhere.test"),
        18 => format!("{front}\u{200d}{back}"),
        19 => format!("*21*{digits}#"),
        20 => format!("**61*{international}*11*20#"),
        21 => format!("sip:*21*{digits}%23@elsewhere.test"),
        22 => format!("{front} /{back}"),
        23 => format!("sip:{front}%2520{back}@elsewhere.test"),
        24 => format!("sip:{front}%C2%AD{back}@gw.test"),
        25 => format!("procom:{}", international),
        26 => format!("sip:{digits}x1@elsewhere.test"),
        27 => format!("sip:{international}@gw.test;user=phone"),
        28 => format!("#31#{digits}"),
        29 => format!("sip:{digits},,1@elsewhere.test"),
        30 => digits.trim_start_matches('+').to_owned(),
        _ => format!("tel:{digits};phone-context=+45"),
    }
}

const WAYS: usize = 32;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn no_spelling_and_no_length_of_a_refused_number_reaches_a_provider(
        number in select(&REFUSED[..]),
        length in -2_isize..=4,
        surplus in "[0-9]{4}",
        (way, at) in (0..WAYS, 0_usize..16),
        rules in 0..RULES.len(),
    ) {
        let keep = number.len().saturating_add_signed(length.min(0)).max(1);
        let digits = format!("{}{}", &number[..keep], &surplus[..length.max(0).unsigned_abs()]);
        // One or two digits alone resemble nothing, nor does an incomplete number without its +,
        // where a rule allows what no plan knows. And a number that a plan knows is what it is:
        // 112 with digits behind it can be a subscriber in some country.
        let is_short = digits.len() < 3 || (way == 30 && length < 0 && rules == 2);
        let text = spell(&digits, way, at);
        let house = House::new(RULES[rules], "");
        let left = leaves_anyhow(&house, &text);
        let is_known = |to: &String| {
            let number = reading::read(to.rsplit(' ').next().unwrap(), &house.plan.home);
            number.is_ok_and(|reading| {
                reading.number.is_some_and(|it| it.is_valid && it.class == reading::Class::National)
            })
        };
        let is_fine = is_short || left.iter().all(is_known);
        prop_assert!(is_fine, "{}: {:?}", text, left);
        prop_assert!(left.is_empty() || number.len() == 3 || length < 0 || way == 30, "{}", text);
    }

    #[test]
    fn every_spelling_of_an_honest_number_reaches_the_provider_in_one_form(
        number in select(&["+4532123456", "+4570101010", "+4580123456"][..]),
        (way, at) in (0..WAYS, 0_usize..16),
    ) {
        let text = spell(number, way, at);
        let house = House::new(RULES[0], "");
        let left = leaves_anyhow(&house, &text);
        let in_code = [19, 20, 21, 28].contains(&way);
        // A number has no escape within an escape; invisible letters are not typed.
        // An international number has no context, and without + it is another number.
        let is_refused = [8, 18, 23, 26, 30, 31].contains(&way);
        let form = format!("tel:{number}");
        prop_assert!(left.iter().all(|to| in_code || to.ends_with(&form)), "{}: {:?}", text, left);
        prop_assert!(is_refused || [11, 12].contains(&way) || !left.is_empty(), "{}", text);
    }
}

fn servers(hosts: &[&str]) -> Vec<SipQuery> {
    let query = |host: &&str| SipQuery {
        host: (*host).to_owned(),
        port: None,
        transport: None,
        is_secure: false,
    };
    hosts.iter().map(query).collect()
}

#[test]
fn what_has_digits_and_is_no_number_does_not_go_to_a_provider_unless_named() {
    let house = House::new(RULES[0], "");
    for text in ["sip:agent007@elsewhere.test", "procom:room-1234a", "x0045901122334", "9p0112233"]
    {
        let (cause, why) = house.routes(text).unwrap_err();
        assert_eq!(cause, Cause::Forbidden, "{text}");
        assert!(why.contains("digits"), "{text}: {why}");
    }
    let named = House::new("[[route]]\nmatch = \"agent007\"\ntrunk = \"sip.pbx\"\n", "");
    assert_eq!(named.routes("agent007"), ok(&["sip.pbx procom:agent007"]));
    assert_eq!(house.routes("sip:info@elsewhere.test"), ok(&["sip.pbx sip:info@elsewhere.test"]));
}

#[test]
fn numbers_that_no_plan_knows_need_a_rule_that_says_so() {
    let house = House::new(RULES[0], "");
    let unknown = ["+4511110000", "1234", "00882161234", "9011223344", "+45321234567", "*21*1234#"];
    for text in unknown {
        let (cause, why) = house.routes(text).unwrap_err();
        assert_eq!(cause, Cause::Forbidden, "{text}");
        let says = ["plan knows", "premium", "short numbers"].iter().any(|it| why.contains(it));
        assert!(says, "{text}: {why}");
    }
    assert!(house.routes("1234").unwrap_err().1.contains("short numbers"));
    let helpline = House::new("[[route]]\nmatch = \"116???\"\ntrunk = \"sip.pbx\"\n", "");
    assert_eq!(helpline.routes("116117"), ok(&["sip.pbx tel:116117"]));
    let allowing = House::new(RULES[2], "");
    assert_eq!(allowing.routes("+4511110000"), ok(&["sip.pbx tel:+4511110000"]));
    assert!(allowing.routes("9011223344").unwrap_err().1.contains("resembles"), "premium and two");
    assert_eq!(house.routes("*43#"), ok(&["sip.pbx tel:*43#"]));
}

#[test]
fn a_pbx_takes_names_and_extensions_as_they_are_and_no_premium_numbers() {
    let mut house = House::new(RULES[0], "");
    house.plan.name_trunks = ["sip.pbx".to_owned()].into();
    for (text, to) in [
        ("1234", "tel:1234"),
        ("sip:agent007@elsewhere.test", "sip:agent007@elsewhere.test"),
        ("sip:2-01@elsewhere.test", "sip:2-01@elsewhere.test"),
        ("9011", "tel:9011"),
    ] {
        assert_eq!(house.routes(text), ok(&[&format!("sip.pbx {to}")]), "{text}");
    }
    for text in
        ["+4590112233", "90112233", "112", "sip:+45-90112233@elsewhere.test", "0044 20 79460018"]
    {
        assert_eq!(house.routes(text).unwrap_err().0, Cause::Forbidden, "{text}");
    }
}

#[test]
fn a_refusal_of_one_spelling_refuses_them_all() {
    for deny in [
        "prefix = \"+4532\"",
        "prefix = \"32\"",
        "prefix = \"004532\"",
        "match = \"32*\"",
        "match = \"+45321*\"",
        "match = \"0045321*\"",
        "match = \"+4532123456\"",
        "range = \"+4532120000 - +4532129999\"",
        "regex = '32\\d+'",
    ] {
        let rules = format!("[[route]]\n{deny}\ndeny = \"not there\"\n{}", RULES[2]);
        let house = House::new(&rules, "");
        for text in [
            "+4532123456",
            "32123456",
            "0045 32123456",
            "sip:+45-32123456@gw.test",
            "sip:0045(32)123456@elsewhere.test",
            "+45321234567",
            "321234567",
            "*21*32123456#",
            "+45032123456",
        ] {
            let refused = house.routes(text);
            assert_eq!(refused, Err((Cause::Forbidden, "not there".into())), "{deny}: {text}");
        }
        assert!(house.routes("+4533123456").is_ok(), "{deny}");
    }
}

#[test]
fn what_a_rule_makes_of_a_number_is_judged_too() {
    let outside = House::new(
        "[[route]]\nregex = '9(.*)'\nrewrite = \"$1\"\ntrunk = \"sip.pbx\"\n\
         [[route]]\nprefix = \"0\"\nstrip = 1\ntrunk = \"sip.pbx\"\n",
        "",
    );
    assert_eq!(outside.routes("9 32123456"), ok(&["sip.pbx tel:32123456"]));
    for text in ["9 90112233", "9 004590112233", "9 112", "0 90112233", "0 911", "9 901122334"] {
        assert_eq!(outside.routes(text).unwrap_err().0, Cause::Forbidden, "{text}");
    }
    let zero = House::new("[[route]]\nmatch = \"0*\"\nstrip = 1\ntrunk = \"sip.pbx\"\n", "");
    assert_eq!(zero.routes("0 32123456"), ok(&["sip.pbx tel:32123456"]));
    assert!(zero.routes("0 90112233").is_err());
    let tech = House::new(
        "[[route]]\nprefix = \"+45\"\nstrip = 1\nprepend = \"7777\"\ntrunk = \"sip.pbx\"\n",
        "",
    );
    assert_eq!(tech.routes("32123456"), ok(&["sip.pbx tel:77774532123456"]));
    assert!(tech.routes("+45901122334").is_err());
}

#[test]
fn contacts_and_enum_cannot_disguise_a_number() {
    let mut house = House::new(RULES[0], "");
    let eve = Contact::new("Eve").with("sip:+45-90112233@elsewhere.test", 1);
    house.plan.contacts = Arc::new(Contacts::new(vec![eve]));
    assert_eq!(house.routes("Eve").unwrap_err().0, Cause::Forbidden);
    let zone = r#"6.5.4.3.2.1.2.3.5.4.e164.example NAPTR 10 10 "u" "E2U+sip" "!^.*$!sip:+45%2090112233@x.test!" ."#;
    let mut house = enum_house("", zone);
    house.plan.enum_sip_trunk = Some("sip.pbx".into());
    assert_eq!(house.routes("32123456").unwrap_err().0, Cause::Forbidden);
}

#[test]
fn a_number_at_the_host_of_a_trunk_is_charged_as_by_the_trunk() {
    let rules = "[[route]]\nmatch = \"sip:*\"\ntrunk = \"sip.direct\"\n";
    let mut house = House::new(
        rules,
        "provider.test A 192.0.2.1\nalias.test A 192.0.2.1\nother.test A 192.0.2.2",
    );
    house.plan.trunk_servers = servers(&["provider.test", "[2001:db8::1]"]);
    for text in [
        "sip:+4590112233@provider.test",
        "sip:0045-90112233@PROVIDER.test:5062",
        "sip:+4590112233@provider.test.",
        "sip:+4590112233@192.0.2.1",
        "sip:+4590112233@alias.test",
        "sip:112@alias.test:5999",
        "sip:agent007@alias.test",
        "sip:+4590112233@[2001:db8::1]",
        "sip:+4590112233@[64:ff9b::192.0.2.1]",
        "sip:+4590112233@[2002:c000:201::1]",
    ] {
        assert_eq!(house.routes(text).unwrap_err().0, Cause::Forbidden, "{text}");
    }
    for text in ["sip:+45-32123456@alias.test", "sip:+4532123456@provider.test"] {
        assert!(house.routes(text).unwrap_err().1.contains("by the trunk"), "{text}");
    }
    assert!(house.routes("sip:info@alias.test").is_ok());
    assert_eq!(
        house.routes("sip:90112233@other.test"),
        ok(&["sip.direct sip:90112233@other.test"]),
        "that is an address there, and costs nothing here"
    );
}

/// Numbers that people of these countries dial, and what is right.
#[test]
fn honest_numbers_of_many_countries_are_known_in_every_usual_spelling() {
    for (country, spellings, full) in [
        ("DK", &["45 21 17 85", "+45 45211785", "0045 45211785"][..], "+4545211785"),
        ("DK", &["4532123456", "+45 (0)32123456"], "+4532123456"),
        ("IT", &["390 814 0378", "+39 3908140378"], "+393908140378"),
        ("IT", &["089 295429", "+39 089 295429", "0039 089295429"], "+39089295429"),
        ("IT", &["06 1234 5678", "+390612345678"], "+390612345678"),
        ("NO", &["47 12 34 56", "+4747123456"], "+4747123456"),
        ("RU", &["8 812 123-45-67", "+7 812 123-45-67", "812 1234567"], "+78121234567"),
        ("RU", &["8 800 555-35-35"], "+78005553535"),
        ("PL", &["48 645 63 09", "+48 486456309"], "+48486456309"),
        ("GB", &["020 7946 0018", "+44 (0)20 7946 0018", "+44 020 7946 0018"], "+442079460018"),
        ("DE", &["030 1234567", "+49 (0)30 1234567", "0049 30 1234567"], "+49301234567"),
        ("US", &["(201) 555-0123", "1 201 555 0123", "+1 (201) 555-0123"], "+12015550123"),
        ("FR", &["01 23 45 67 89", "+33 (0)1 23 45 67 89"], "+33123456789"),
        ("SG", &["6512 3456", "+65 6512 3456"], "+6565123456"),
    ] {
        let mut house = House::new(RULES[0], "");
        house.plan.home = Home::new(Some(country), &[]).unwrap();
        for typed in spellings {
            assert_eq!(
                house.routes(typed),
                ok(&[&format!("sip.pbx tel:{full}")]),
                "{country}: {typed}"
            );
        }
    }
}

#[test]
fn an_emergency_number_beside_a_star_or_a_hash_is_one() {
    let mut house = House::new(RULES[2], "");
    for typed in
        ["112#", "911*", "*112", "#112", "000#", "tel:112*", "sip:112%23@x.test", "*21*112#"]
    {
        assert_eq!(leaves_anyhow(&house, typed), Vec::<String>::new(), "{typed}");
    }
    house.plan.name_trunks = ["sip.pbx".to_owned()].into();
    for typed in ["112#", "112w", "sip:112w@x.test", "%31%31%32"] {
        assert_eq!(leaves_anyhow(&house, typed), Vec::<String>::new(), "{typed}");
    }
    let mut french = House::new(RULES[2], "");
    french.plan.home = Home::new(Some("FR"), &[]).unwrap();
    for typed in ["17", "#31#17", "15#", "*21*17#", "sip:17!@gw.test", "tel:15A", "17p"] {
        assert_eq!(leaves_anyhow(&french, typed), Vec::<String>::new(), "{typed}");
    }
    let behind = House::new(
        "[[route]]\nregex = '[79](.*)'\nto = \"tel:$1\"\n[[route]]\nmatch = \"*\"\ntrunk = \"sip.pbx\"\n",
        "",
    );
    for typed in ["7112#", "9112#"] {
        assert_eq!(leaves_anyhow(&behind, typed), Vec::<String>::new(), "{typed}");
    }
}

#[test]
fn a_refused_number_is_refused_at_every_host_and_by_every_scheme() {
    let allow =
        "[[route]]\nmatch = \"*\"\nallow = [\"international\", \"unknown\"]\ntrunk = \"sip.pbx\"\n";
    for deny in [
        "match = \"+44*\"",
        "prefix = \"+44\"",
        "range = \"+442000000000 - +442999999999\"",
        "regex = '\\+44\\d+'",
    ] {
        let rules = format!("[[route]]\n{deny}\ndeny = \"not there\"\n{allow}");
        let mut house = House::new(&rules, "");
        let eve = Contact::new("Eve").with("sip:+44%202079460018@x.test", 1);
        let ann = Contact::new("Ann").with("xmpp:+442079460018@x.test", 1);
        house.plan.contacts = Arc::new(Contacts::new(vec![eve, ann]));
        for typed in [
            "+442079460018",
            "+442079460018@x.test",
            "00442079460018@x.test",
            "xmpp:+442079460018@x.test",
            "im:+442079460018@x.test",
            "sip:+44 2079460018@x.test",
            "011442079460018",
            "Eve",
            "Ann",
        ] {
            assert_eq!(leaves_anyhow(&house, typed), Vec::<String>::new(), "{deny}: {typed}");
        }
    }
    let rules = format!("[[route]]\nprefix = \"+3906\"\ndeny = \"not there\"\n{allow}");
    let mut house = House::new(&rules, "");
    house.plan.home = Home::new(Some("IT"), &[]).unwrap();
    for typed in ["06 12345678", "0612345678@x.test", "sip:+39-0612345678@x.test"] {
        assert_eq!(leaves_anyhow(&house, typed), Vec::<String>::new(), "{typed}");
    }
    assert!(house.routes("02 12345678").is_ok());
}

#[test]
fn brackets_within_a_country_code_do_not_make_it_another() {
    for (rule, typed) in [
        ("match = \"+20*\"", "+2(0)52 61 2345678"),
        ("match = \"+350*\"", "+35(0)79 9123456"),
        ("prefix = \"+20\"", "+2(0)12 612345678"),
    ] {
        let house = House::new(&format!("[[route]]\n{rule}\ntrunk = \"sip.pbx\"\n"), "");
        let left = leaves_anyhow(&house, typed);
        let begin = rule.split('"').nth(1).unwrap().trim_end_matches('*');
        assert!(left.iter().all(|to| to.contains(&format!("tel:{begin}"))), "{typed}: {left:?}");
    }
}

#[test]
fn enum_leads_to_no_service_of_the_line() {
    for target in ["*21*32999999%23", "112%23", "%2331%2332123456"] {
        let zone = format!(
            r#"6.5.4.3.2.1.2.3.5.4.e164.example NAPTR 10 10 "u" "E2U+sip" "!^.*$!sip:{target}@x.test!" ."#
        );
        let mut house = enum_house("[[route]]\nprefix = \"+45\"\ntrunk = \"sip.pbx\"\n", &zone);
        house.plan.enum_sip_trunk = Some("sip.pbx".into());
        assert_eq!(house.routes("32123456"), ok(&["sip.pbx tel:+4532123456"]), "{target}");
    }
}

#[test]
fn a_prefix_of_the_trunk_behind_the_country_code_hides_nothing() {
    for (country, typed) in [
        ("US", "+1 1 900 555 1234"),
        ("US", "+112"),
        ("US", "+11911"),
        ("RU", "+7 8 809 1234567"),
        ("GB", "+440999"),
        ("GB", "+440112"),
        ("DK", "+450112"),
    ] {
        let mut house = House::new(RULES[2], "");
        house.plan.home = Home::new(Some(country), &[]).unwrap();
        assert_eq!(leaves_anyhow(&house, typed), Vec::<String>::new(), "{country}: {typed}");
    }
}

#[test]
fn a_phone_that_names_a_context_means_a_number_there() {
    let house = House::new(RULES[0], "");
    let to = inquiry(Some("alice"), "sip.local", "tel:32123456;phone-context=+44");
    assert_eq!(leaves(&house, &to, Purpose::Call), Vec::<String>::new());
    let here = inquiry(Some("alice"), "sip.local", "tel:32123456;phone-context=+45");
    assert_eq!(leaves(&house, &here, Purpose::Call), ["sip.pbx tel:+4532123456"]);
}
