use proptest::prelude::*;

use super::*;

/// The example of RFC 4568 §6.1: 30 bytes for a 128-bit suite.
const KEY: &str = "d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj";

fn line(text: &str) -> CryptoLine {
    CryptoLine(text.to_owned())
}

fn counting() -> impl FnMut(&mut [u8]) {
    let mut next = 0u8;
    move |bytes| {
        for byte in bytes {
            next = next.wrapping_add(1);
            *byte = next;
        }
    }
}

fn rendered(lines: &[Line]) -> Vec<CryptoLine> {
    lines.iter().map(Line::render).collect()
}

#[test]
fn a_plain_line_is_read_and_written_back() {
    let text = format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}");
    let parsed = Line::parse(&line(&text)).unwrap();
    assert_eq!((parsed.tag, parsed.key.suite()), (1, Suite::AesCm128HmacSha1_80));
    assert_eq!(parsed.render().0, text);
}

#[test]
fn lifetimes_and_window_hints_change_nothing() {
    for parameters in ["|2^31", "|1048576", "|2^48", " WSH=64", "|2^20 WSH=1024 -x-unknown"] {
        let text = format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}{parameters}");
        let parsed = Line::parse(&line(&text)).unwrap();
        assert_eq!(parsed.render().0, format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}"));
    }
}

#[test]
fn what_switches_protection_off_or_changes_it_is_refused() {
    let parameters = [
        "UNENCRYPTED_SRTP",
        "UNENCRYPTED_SRTCP",
        "UNAUTHENTICATED_SRTP",
        "unencrypted_srtp",
        "KDR=1",
        "FEC_ORDER=FEC_SRTP",
        "FEC_KEY=inline:x",
        "WSH=64 UNENCRYPTED_SRTP",
        "unknown",
    ];
    for parameter in parameters {
        let text = format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY} {parameter}");
        assert_eq!(
            Line::parse(&line(&text)).unwrap_err(),
            Unusable::SessionParameter,
            "{parameter}"
        );
    }
}

#[test]
fn key_identifiers_and_second_keys_are_refused() {
    for tail in ["|2^20|1:4", "|1:1", &format!("|2^20|1:4;inline:{KEY}|2^20|2:4")] {
        let text = format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}{tail}");
        assert_eq!(Line::parse(&line(&text)).unwrap_err(), Unusable::KeyIdentifier);
    }
}

#[test]
fn malformed_lines_are_refused() {
    let malformed = [
        String::new(),
        "1".to_owned(),
        "1 AES_CM_128_HMAC_SHA1_80".to_owned(),
        format!("x AES_CM_128_HMAC_SHA1_80 inline:{KEY}"),
        format!("01 AES_CM_128_HMAC_SHA1_80 inline:{KEY}"),
        format!("1234567890 AES_CM_128_HMAC_SHA1_80 inline:{KEY}"),
        format!("1 AES_CM_128_HMAC_SHA1_80 uri:{KEY}"),
        format!("1 AES_CM_128_HMAC_SHA1_80 {KEY}"),
        format!("1 AES_CM_128_HMAC_SHA1_80 inline:{}", &KEY[4..]),
        format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}AAAA"),
        format!("1 AES_256_CM_HMAC_SHA1_80 inline:{KEY}"),
        "1 AES_CM_128_HMAC_SHA1_80 inline:!!!!".to_owned(),
        format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|0"),
        format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^49"),
        format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^99999999999"),
        format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY} {}", "-x".repeat(300)),
    ];
    for text in malformed {
        assert_eq!(Line::parse(&line(&text)).unwrap_err(), Unusable::Malformed, "{text}");
    }
}

#[test]
fn a_256_bit_key_without_padding_is_read() {
    let key = MasterKey::generate(Suite::AesCm256HmacSha1_80, &mut counting());
    let padded = Line { tag: 1, key: key.clone() }.render();
    assert!(padded.0.ends_with("=="));
    let bare = line(padded.0.trim_end_matches('='));
    assert!(Line::parse(&bare).unwrap().key.is_same(&key));
}

#[test]
fn both_sides_of_an_offer_and_its_answer_hold_the_same_keys() {
    let mut random = counting();
    let offered = offer(&Suite::PREFERRED, &mut random);
    for allowed in Suite::PREFERRED {
        let answerer = answer(&rendered(&offered), &[allowed], None, &mut random).unwrap();
        let offerer = accept(&offered, &rendered(&[answerer.line()])).unwrap();
        assert_eq!((offerer.suite(), answerer.suite()), (allowed, allowed));
        assert!(offerer.ours.is_same(&answerer.theirs) && offerer.theirs.is_same(&answerer.ours));
    }
}

#[test]
fn the_first_usable_line_is_taken_and_unusable_ones_are_skipped() {
    let offered = [
        line("1 F8_128_HMAC_SHA1_80 inline:AAAA"),
        line(&format!("2 AES_CM_128_HMAC_SHA1_80 inline:{KEY} UNENCRYPTED_SRTP")),
        line(&format!("3 AES_CM_128_HMAC_SHA1_32 inline:{KEY}")),
        line(&format!("4 AES_CM_128_HMAC_SHA1_80 inline:{KEY}")),
    ];
    let agreement = answer(&offered, &Suite::PREFERRED, None, &mut counting()).unwrap();
    assert_eq!(agreement.tag, 3);
    let agreement = answer(&offered, &[Suite::AesCm128HmacSha1_80], None, &mut counting()).unwrap();
    assert_eq!(agreement.tag, 4);
}

#[test]
fn an_offer_without_a_usable_line_leads_to_no_keys() {
    let none = answer(&[], &Suite::PREFERRED, None, &mut counting()).unwrap_err();
    assert_eq!(none, NoAgreement::NothingUsable(None));
    let offered = [line("1 F8_128_HMAC_SHA1_80 inline:AAAA")];
    let none = answer(&offered, &Suite::PREFERRED, None, &mut counting()).unwrap_err();
    assert_eq!(none, NoAgreement::NothingUsable(Some(Unusable::UnknownSuite)));
}

#[test]
fn an_answer_to_a_line_that_was_not_offered_is_refused() {
    let offered = offer(&[Suite::AesCm128HmacSha1_80], &mut counting());
    let wrong_tag = [line(&format!("2 AES_CM_128_HMAC_SHA1_80 inline:{KEY}"))];
    let wrong_suite = [line(&format!("1 AES_CM_128_HMAC_SHA1_32 inline:{KEY}"))];
    let right = line(&format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}"));
    assert_eq!(accept(&offered, &wrong_tag).unwrap_err(), NoAgreement::NotOffered);
    assert_eq!(accept(&offered, &wrong_suite).unwrap_err(), NoAgreement::NotOffered);
    assert_eq!(accept(&offered, &[]).unwrap_err(), NoAgreement::NotOneLine);
    assert_eq!(accept(&offered, &[right.clone(), right]).unwrap_err(), NoAgreement::NotOneLine);
}

#[test]
fn a_peer_that_throws_our_key_back_is_refused() {
    let offered = offer(&[Suite::AesCm128HmacSha1_80], &mut counting());
    assert_eq!(accept(&offered, &rendered(&offered)).unwrap_err(), NoAgreement::Reflected);
}

#[test]
fn a_reoffer_with_the_same_key_keeps_both_keys_and_one_with_another_renews_both() {
    let mut random = counting();
    let offered = offer(&[Suite::AeadAes128Gcm], &mut random);
    let first = answer(&rendered(&offered), &Suite::PREFERRED, None, &mut random).unwrap();
    let again = answer(&rendered(&offered), &Suite::PREFERRED, Some(&first), &mut random).unwrap();
    assert!(again.ours.is_same(&first.ours) && again.theirs.is_same(&first.theirs));
    let fresh = rendered(&offer(&[Suite::AeadAes128Gcm], &mut random));
    let renewed = answer(&fresh, &Suite::PREFERRED, Some(&first), &mut random).unwrap();
    assert!(!renewed.ours.is_same(&first.ours) && !renewed.theirs.is_same(&first.theirs));
    assert!(offer_again(&first)[0].key.is_same(&first.ours));
}

#[test]
fn every_suite_on_offer_has_a_key_of_its_own() {
    let lines = offer(&[Suite::AeadAes128Gcm, Suite::AeadAes128Gcm], &mut counting());
    assert!(!lines[0].key.is_same(&lines[1].key));
    assert_eq!((lines[0].tag, lines[1].tag), (1, 2));
}

#[test]
fn printing_shows_no_key() {
    let offered = offer(&[Suite::AesCm128HmacSha1_80], &mut |bytes| bytes.fill(0x41));
    let agreement = answer(&rendered(&offered), &Suite::PREFERRED, None, &mut counting()).unwrap();
    for text in
        [format!("{offered:?}"), format!("{agreement:?}"), format!("{:?}", rendered(&offered))]
    {
        assert!(!text.contains("QUFB") && !text.contains("65"), "{text}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC{0,200}") {
        let _ = Line::parse(&line(&text));
    }

    #[test]
    fn no_near_miss_makes_the_parser_panic(
        text in "[0-9]{0,10} AES_(CM_128|256_CM)_HMAC_SHA1_(80|32) inline:[A-Za-z0-9+/=]{0,64}[|;:^0-9]{0,12}"
    ) {
        let _ = Line::parse(&line(&text));
    }

    #[test]
    fn what_is_rendered_is_read(
        suite in prop::sample::select(&Suite::PREFERRED), tag in 0u32..1_000_000_000, seed: u8
    ) {
        let key = MasterKey::generate(suite, &mut |bytes| bytes.fill(seed));
        let parsed = Line::parse(&Line { tag, key: key.clone() }.render()).unwrap();
        prop_assert_eq!(parsed.tag, tag);
        prop_assert!(parsed.key.is_same(&key));
    }
}
