//! What would become of what a person types.

use gateway_adapter::{Draft, WayAhead};

use super::*;

fn explain(id: &str, to: &str) -> String {
    client(json!({"type": "explain", "id": id, "to": to, "require": "encrypted"}))
}

fn asked(world: &mut World) -> Vec<(SessionId, String, Draft)> {
    let rest = std::mem::take(&mut world.rest);
    rest.into_iter()
        .filter_map(|output| match output {
            Output::Explain(session, id, draft) => Some((session, id, *draft)),
            _ => None,
        })
        .collect()
}

#[test]
fn what_is_typed_is_asked_for_in_the_persons_name_and_told_under_the_clients_id() {
    let mut world = world();
    world.sign_in(A);
    world.text(A, &explain("e1", "32 12 34 56"));
    let (session, id, draft) = asked(&mut world).remove(0);
    assert_eq!(draft.origin.account.as_ref().map(AccountId::as_str), Some("alice"));
    assert_eq!(draft.dialled.as_deref(), Some("32 12 34 56"));
    assert!(
        draft.require == Require::Encrypted && !draft.may_ask_dns,
        "nobody outside learns of it"
    );
    let way = WayAhead {
        network: "sip".to_owned(),
        security: "hop".to_owned(),
        notes: vec!["somebody learns something".to_owned()],
    };
    let prospect = Prospect {
        kind: Some("a number".to_owned()),
        text: Some("tel:+4532123456".to_owned()),
        class: Some("national".to_owned()),
        ways: vec![way],
        refusal: None,
    };
    world.hub.handle_explained(session, id, Ok(prospect));
    world.drain();
    let frame = world.take(A, "explained");
    crate::frame::schema::assert_gateway(&frame.to_string());
    assert_eq!((&frame["id"], &frame["ways"][0]["level"]), (&json!("e1"), &json!("hop")));
    world.hub.handle_explained(SessionId(99), "e2".to_owned(), Err("gone".to_owned()));
    world.drain();
    assert!(world.said.is_empty(), "a session that is over hears nothing");
}

#[test]
fn who_asks_too_fast_or_of_nobody_is_told_so() {
    let mut world = world();
    world.sign_in(A);
    world.text(A, &explain("e1", "mailto:bob@example.org"));
    let refused = world.take(A, "error");
    assert_eq!((&refused["code"], &refused["id"]), (&json!("bad-address"), &json!("e1")));
    for _ in 0..9 {
        world.text(A, &explain("e2", "bob"));
    }
    assert!(world.said.is_empty());
    world.text(A, &explain("e3", "bob"));
    assert_eq!(world.take_error(A), "overload");
    assert_eq!(asked(&mut world).len(), 9);
    world.pass(1);
    world.text(A, &explain("e4", "bob"));
    assert_eq!(asked(&mut world).len(), 1);
}
