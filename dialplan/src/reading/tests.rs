use super::*;
use proptest::prelude::*;

fn home() -> Home {
    Home::new(Some("DK"), &[]).unwrap()
}

fn read_as(text: &str) -> Vec<String> {
    read(text, &home()).unwrap().addresses.iter().map(ToString::to_string).collect()
}

fn class(text: &str, home: &Home) -> Class {
    read(text, home).unwrap().number.unwrap().class
}

#[test]
fn every_form_of_an_address_is_read() {
    for (text, addresses) in [
        ("sip:Bob@Example.ORG", &["sip:Bob@example.org"][..]),
        ("SIPS:bob@example.org:5061;transport=tls", &["sips:bob@example.org:5061;transport=tls"]),
        ("sip:example.org", &["sip:example.org"]),
        ("sip:+4532123456@gw.test;user=phone", &["sip:+4532123456@gw.test;user=phone"]),
        ("sip:bob:secret@example.org?subject=x", &["sip:bob@example.org"]),
        ("sip:bob@[2001:DB8::1]:5070", &["sip:bob@[2001:db8::1]:5070"]),
        ("sip:bob@b\u{fc}cher.example", &["sip:bob@xn--bcher-kva.example"]),
        ("sip:bob@example.org;maddr=10.0.0.1", &["sip:bob@example.org"]),
        ("tel:+45-32-12-34-56", &["tel:+4532123456"]),
        ("tel:32123456;ext=12", &["tel:+4532123456;ext=12"]),
        ("tel:7042;phone-context=Example.com", &["tel:7042;phone-context=example.com"]),
        ("tel:863-1234;phone-context=+1-914-555", &["tel:8631234;phone-context=+1914555"]),
        ("tel:3212 3456;phone-context=+45", &["tel:+4532123456"]),
        ("tel:+4532123456;npdi;rn=+45-99", &["tel:+4532123456;npdi;rn=+4599"]),
        ("sms:+4532123456?body=hi", &["sms:+4532123456"]),
        ("xmpp:Eve@Example.org/Phone?message", &["xmpp:eve@example.org"]),
        ("xmpp:d'artagnan@musketeers.lit", &["xmpp:d%5C27artagnan@musketeers.lit"]),
        ("xmpp:eve@b\u{fc}cher.example", &["xmpp:eve@b\u{fc}cher.example"]),
        ("im:eve@example.org", &["sip:eve@example.org", "xmpp:eve@example.org"]),
        ("pres:eve@example.org", &["sip:eve@example.org", "xmpp:eve@example.org"]),
        ("procom:alice", &["procom:alice"]),
        ("procom:alice@other.test", &["procom:alice@other.test"]),
        ("urn:service:sos.fire", &["tel:112"]),
        ("32 12 34 56", &["tel:+4532123456"]),
        ("+45 (32) 12-34.56", &["tel:+4532123456"]),
        ("0045 32123456", &["tel:+4532123456"]),
        ("+44 (0)20 7946 0018", &["tel:+442079460018"]),
        ("32123456 ext. 7", &["tel:+4532123456;ext=7"]),
        ("32123456x7", &["tel:+4532123456;ext=7"]),
        ("112", &["tel:112"]),
        ("1234", &["tel:1234"]),
        ("*21*32123456#", &["tel:*21*32123456#"]),
        ("eve@example.org", &["sip:eve@example.org", "xmpp:eve@example.org"]),
        ("eve@example.org/phone", &["xmpp:eve@example.org"]),
        ("eve@example.org:5070", &["sip:eve@example.org:5070"]),
        ("  Bob   Smith ", &["procom:Bob%20Smith"]),
    ] {
        assert_eq!(read_as(text), addresses, "{text}");
    }
}

#[test]
fn a_refusal_says_what_is_wrong_and_where() {
    for (text, at, why) in [
        ("", 0, "nothing"),
        ("callto:bob", 0, "callto: is not known"),
        ("sip:bob@", 8, "no host"),
        ("sip:@example.org", 4, "no name"),
        ("sip:bob@example.org:99999", 20, "port"),
        ("sip:bob@exa mple.org", 8, "host"),
        ("sip:b%0Ab@example.org", 4, "nobody can see"),
        ("sip:b%zz@example.org", 5, "hexadecimal"),
        ("sip:bob@example.org;transport=sctp", 19, "transport"),
        ("sip:bob@1.2.3.400", 8, "neither"),
        ("tel:+45x", 7, "digit"),
        ("tel:12;ext=a", 7, "extension"),
        ("tel:+0123", 5, "country code"),
        ("+1234567890123456", 0, "15 digits"),
        ("12+34", 2, "country code"),
        ("xmpp://me@here/you@there", 5, "yours"),
        ("xmpp:@example.org", 5, "no name"),
        ("a\u{202e}b", 1, "nobody can see"),
        ("  sip:bob@", 10, "no host"),
    ] {
        let refusal = read(text, &home()).expect_err(text);
        assert_eq!(refusal.at, at, "{text}: {refusal}");
        assert!(refusal.why.contains(why), "{text}: {refusal}");
    }
}

#[test]
fn numbers_have_the_class_their_plan_gives_them() {
    let (danish, nowhere) = (home(), Home::default());
    for (text, class_at_home) in [
        ("112", Class::Emergency),
        ("911", Class::Emergency),
        ("32123456", Class::National),
        ("+4532123456", Class::National),
        ("90123456", Class::Premium),
        ("+4590123456", Class::Premium),
        ("+881612345678", Class::Premium),
        ("+979123456789", Class::Premium),
        ("+442079460018", Class::International),
        ("+4599", Class::National),
        ("1234", Class::Short),
        ("*43#", Class::Service),
    ] {
        assert_eq!(class(text, &danish), class_at_home, "{text}");
    }
    assert_eq!(class("+4532123456", &nowhere), Class::International);
    assert_eq!(class("004532123456", &nowhere), Class::International);
    assert_eq!(class("12345678", &nowhere), Class::Unknown);
    assert_eq!(class("999", &Home::new(Some("GB"), &[]).unwrap()), Class::Emergency);
    assert_eq!(class("777", &Home::new(None, &["777".into()]).unwrap()), Class::Emergency);
    assert!(Home::new(Some("XX"), &[]).is_err());
}

/// XEP-0106, the examples of section 2.
#[test]
fn jids_are_escaped_as_the_standard_shows() {
    for (plain, escaped) in [
        ("space cadet", "space\\20cadet"),
        ("call me \"ishmael\"", "call\\20me\\20\\22ishmael\\22"),
        ("at&t guy", "at\\26t\\20guy"),
        ("d'artagnan", "d\\27artagnan"),
        ("/.fanboy", "\\2f.fanboy"),
        ("::foo::", "\\3a\\3afoo\\3a\\3a"),
        ("<foo>", "\\3cfoo\\3e"),
        ("user@host", "user\\40host"),
        ("c:\\net", "c\\3a\\net"),
    ] {
        assert_eq!(escape(plain), escaped);
        assert_eq!(unescape(escaped), plain);
    }
}

/// RFC 7622 §3.5, tables 1 and 2.
#[test]
fn jids_of_the_standard_are_read_or_refused() {
    for jid in [
        "juliet@example.com",
        "juliet@example.com/foo",
        "juliet@example.com/foo bar",
        "juliet@example.com/foo@bar",
        "foo\\20bar@example.com",
        "fussball@example.com",
        "fu\u{df}ball@example.com",
        "\u{3c0}@example.com",
        "king@example.com/\u{265a}",
        "example.com",
        "example.com/foobar",
        "a.example.com/b@example.net",
    ] {
        assert_eq!(Jid::read(jid).unwrap().to_string(), jid);
    }
    assert_eq!(Jid::read("\u{3a3}@example.com").unwrap().to_string(), "\u{3c3}@example.com");
    for jid in [
        "@example.com",
        "user@example.com/",
        "\u{265a}@example.com",
        "juliet@",
        "henry\u{2163}@example.com",
    ] {
        assert!(Jid::read(jid).is_err(), "{jid}");
    }
}

fn is_stable(text: &str, home: &Home) -> Result<(), TestCaseError> {
    let Ok(reading) = read(text, home) else { return Ok(()) };
    let printed = reading.to_string();
    let again = read(&printed, home);
    prop_assert!(again.is_ok(), "{:?} printed as {:?}: {:?}", text, printed, again);
    let again = again.unwrap();
    prop_assert_eq!(&again.to_string(), &printed, "from {:?}", text);
    prop_assert_eq!(again.addresses.len(), reading.addresses.len());
    for (one, other) in again.addresses.iter().zip(&reading.addresses) {
        prop_assert_eq!(one.to_string(), other.to_string(), "from {:?}", text);
    }
    prop_assert_eq!(again.resource, reading.resource);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_text_panics_and_what_is_printed_reads_the_same(text in "\\PC{0,60}") {
        is_stable(&text, &home())?;
        is_stable(&text, &Home::default())?;
    }

    #[test]
    fn addresses_print_stably(
        scheme in "(sip|sips|tel|sms|im|pres|xmpp|procom|SIP|)(:|)",
        user in "[a-zA-Z0-9+*# .()%27&/:;=?\\\\'@-]{0,20}",
        host in "(@|)([a-zA-Z0-9.-]{0,16}|\\[[0-9a-f:]{2,12}\\]|b\u{fc}cher\\.example)",
        tail in "(:[0-9]{1,5}|)(;(transport|user|ext|phone-context|rn|npdi)(=[a-z0-9+.-]{1,8}|)|/[a-zA-Z ]{1,8}|\\?a=b|)",
    ) {
        is_stable(&format!("{scheme}{user}{host}{tail}"), &home())?;
    }

    #[test]
    fn numbers_print_stably(text in "[+]?[0-9 ().-]{1,24}(x[0-9]{1,3}|)", country in "(DK|DE|US|IT|GB|RU|BR|CN|)") {
        let home = Home::new(Some(country.as_str()).filter(|code| !code.is_empty()), &[]).unwrap();
        is_stable(&text, &home)?;
        is_stable(&format!("tel:{text}"), &home)?;
    }
}
