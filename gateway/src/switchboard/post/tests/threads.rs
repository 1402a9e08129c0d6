//! A contact by whatever address is one conversation.

use dialplan::{Contacts, Dialplan};

use super::*;

const EVE: &str = "BEGIN:VCARD\nFN:Eve\nTEL;PREF=1:+4532123456\nIMPP;PREF=2:sip:eve@example.org\n\
    IMPP;PREF=3:xmpp:eve@example.org\nEND:VCARD\n";
const EVES: [&str; 3] = ["tel:+4532123456", "sip:eve@example.org", "xmpp:eve@example.org"];

fn world_with_eve(name: &str) -> World {
    let mut world = world(name);
    let contacts = Arc::new(Contacts::parse(EVE).expect("contacts"));
    let accounts = [("alice".to_owned(), AccountId::from("alice"))].into();
    let plan = Dialplan { contacts, accounts, ..Dialplan::default() };
    world.post.handle_people(Arc::new(People::of(Arc::new(plan))));
    world
}

fn address(text: &str) -> Address {
    text.parse().expect("an address")
}

/// What a trunk brings: claimed, not proven.
fn foreign(from: &str) -> Origin {
    Origin {
        trunk: "sip.pbx".into(),
        account: None,
        asserted: address(from),
        verified: false,
        only: None,
    }
}

#[test]
fn what_is_written_to_any_address_of_a_contact_and_what_it_answers_is_one_conversation() {
    let mut world = world_with_eve("threads");
    let mut conversations = Vec::new();
    for (number, to) in EVES.iter().enumerate() {
        let intake = world.write("alice", &format!("to {number}"), address(to));
        conversations.push(world.conversation(intake));
    }
    let by_name = world.write("alice", "by name", Address::procom("Eve"));
    conversations.push(world.conversation(by_name));
    for (number, from) in EVES.iter().enumerate() {
        let answer = message(&format!("from {number}"), Address::procom("alice"));
        let intake = world.write_as(foreign(from), answer);
        conversations.push(world.conversation(intake));
    }
    conversations.dedup();
    assert_eq!(conversations.len(), 1, "{conversations:?}");
    world.sessions("alice", true);
    let shown = world.sent.iter().filter(|sent| sent.trunk.network() == "procom");
    let shown: Vec<_> = shown.map(|sent| (sent.conversation, sent.origin.verified)).collect();
    assert_eq!(shown[0], (conversations[0], false), "joined, and marked as not proven");
}

#[test]
fn the_order_of_a_conversation_holds_over_the_addresses_of_a_contact() {
    let mut world = world_with_eve("threads-order");
    world.sessions("alice", true);
    for (number, from) in EVES.iter().enumerate() {
        let answer = message(&format!("m{number}"), Address::procom("alice"));
        world.write_as(foreign(from), answer);
    }
    for at in 0..EVES.len() {
        assert_eq!(world.sent.len(), at + 1, "one after the other");
        let sent = world.sent[at].clone();
        assert_eq!(sent.message.sender_id, format!("m{at}"));
        world.answer(sent.delivery, Handover::Taken(Status::Delivered));
    }
}

#[test]
fn a_stranger_does_not_slip_into_a_conversation() {
    let mut world = world_with_eve("threads-stranger");
    let intake = world.write("alice", "m1", address(EVES[0]));
    let with_eve = world.conversation(intake);
    let strangers = ["sip:eve@example.net", "sip:Eve@pbx.example", "sip:32123456@pbx.example"];
    for (number, from) in strangers.iter().enumerate() {
        let written = message(&format!("s{number}"), Address::procom("alice"));
        let intake = world.write_as(foreign(from), written);
        assert_ne!(world.conversation(intake), with_eve, "{from}");
    }
    let other = world.write("bob", "m1", address(EVES[0]));
    assert_ne!(world.conversation(other), with_eve, "each account has its own with a contact");
}

#[test]
fn a_conversation_keeps_its_name_over_a_crash() {
    let mut world = world_with_eve("threads-crash");
    let answer = message("m1", Address::procom("alice"));
    let intake = world.write_as(foreign(EVES[1]), answer);
    let conversation = world.conversation(intake);
    let mut world = world.crash();
    world.sessions("alice", true);
    assert_eq!(world.sent[0].conversation, conversation);
}
