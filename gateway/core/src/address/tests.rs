use super::{Address, AddressFault, Scheme};
use proptest::prelude::*;

fn read(text: &str) -> Address {
    text.parse().expect("a good address")
}

#[test]
fn the_parts_of_a_sip_uri_are_found() {
    let address = read("sip:bob%20b@Example.org:5070;transport=TCP;lr");
    assert_eq!(address.scheme, Scheme::Sip);
    assert_eq!(address.user.as_deref(), Some("bob b"));
    assert_eq!(address.host.as_deref(), Some("example.org"));
    assert_eq!(address.port, Some(5070));
    assert_eq!(address.param("transport"), Some(Some("TCP")));
    assert_eq!(address.param("lr"), Some(None));
    assert_eq!(address.to_string(), "sip:bob%20b@example.org:5070;transport=TCP;lr");
}

#[test]
fn an_ipv6_host_keeps_its_brackets() {
    let address = read("sip:a@[::1]:5060");
    assert_eq!(address.host.as_deref(), Some("[::1]"));
    assert_eq!(address.port, Some(5060));
    assert_eq!("sip:a@[::1]x".parse::<Address>(), Err(AddressFault::BadPort));
}

#[test]
fn visual_separators_in_a_number_are_dropped() {
    assert_eq!(read("tel:+45-12.34(56)78").to_string(), "tel:+4512345678");
    assert_eq!("tel:12+3".parse::<Address>(), Err(AddressFault::BadCharacter(6)));
}

#[test]
fn a_procom_address_names_a_local_account() {
    assert_eq!(read("procom:alice"), Address::procom("alice"));
    assert_eq!(read("procom:alice@example.org").host.as_deref(), Some("example.org"));
}

#[test]
fn what_is_no_address_is_refused_with_the_reason() {
    assert_eq!("alice".parse::<Address>(), Err(AddressFault::NoScheme));
    assert_eq!("gopher:x".parse::<Address>(), Err(AddressFault::UnknownScheme));
    assert_eq!("sip:".parse::<Address>(), Err(AddressFault::Empty));
    assert_eq!("sip:@x".parse::<Address>(), Err(AddressFault::Empty));
    assert_eq!("sip:a@x:0".parse::<Address>(), Err(AddressFault::BadPort));
    assert_eq!("sip:a\r\nb@x".parse::<Address>(), Err(AddressFault::BadCharacter(5)));
    assert_eq!("sip:a%0d%0ab@x".parse::<Address>(), Err(AddressFault::BadCharacter(4)));
}

#[test]
fn a_log_shows_neither_users_nor_whole_numbers() {
    assert_eq!(format!("{:?}", read("sip:bob@example.org")), "sip:***@example.org");
    assert_eq!(format!("{:?}", read("tel:+4512345678")), "tel:...678");
}

proptest! {
    #[test]
    fn reading_what_was_printed_changes_nothing(text in "(sip|xmpp|procom|tel|sips):[ -~]{0,40}") {
        if let Ok(address) = text.parse::<Address>() {
            let again: Address = address.to_string().parse().expect("printed addresses are read");
            prop_assert_eq!(&again, &address);
        }
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC{0,200}") {
        let _ = text.parse::<Address>();
        let _ = format!("sip:{text}").parse::<Address>();
        let _ = format!("tel:{text}").parse::<Address>();
    }
}
