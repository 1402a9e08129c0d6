//! The line of the data channel in offers and answers. What goes over it is tested beside the channel itself.

use gateway_core::description::{Direction, MediaKind, MediaLine, Setup};

use super::*;

fn kinds(description: &Description) -> Vec<(bool, bool)> {
    let kind = |line: &MediaLine| (line.kind == MediaKind::Application, !line.is_refused());
    description.media.iter().map(kind).collect()
}

/// An offer as browsers make it, with the channel first and no port of its own.
fn browser_offer(wire: &mut Wire) -> Description {
    wire.offer(A, webrtc());
    let mut offer = wire.offered();
    offer.media.swap(0, 1);
    offer.media[0].port = 0;
    offer
}

#[test]
fn a_channel_is_offered_beside_the_sound_and_taken() {
    let mut wire = Wire::new(2);
    wire.call(webrtc(), webrtc());
    let (offer, answer) = (wire.offered(), wire.answered());
    for description in [&offer, &answer] {
        assert_eq!(kinds(description), [(false, true), (true, true)]);
        assert_eq!(description.bundle, ["0", "1"]);
        let line = &description.media[1];
        assert_eq!(
            (line.proto.as_str(), line.formats.join(" ")),
            ("UDP/DTLS/SCTP", "webrtc-datachannel".into())
        );
        assert_eq!(line.sctp, Some((5_000, 65_536)));
        assert_eq!(
            (&line.ice, &line.setup),
            (&description.media[0].ice, &description.media[0].setup)
        );
        assert!(!line.rtcp_mux && line.codecs.is_empty() && line.ssrc.is_none());
    }
    assert_eq!(offer.media[1].setup, Some(Setup::ActPass));
    wire.run(seconds(3));
    assert!(wire.hosts.iter().all(|host| host.secured().is_some()));
}

#[test]
fn later_offers_keep_the_lines_in_their_places() {
    let mut wire = Wire::new(2);
    let offer = browser_offer(&mut wire);
    wire.answer(B, webrtc(), offer);
    let answer = wire.answered();
    assert_eq!(kinds(&answer), [(true, true), (false, true)]);
    let reoffer = MediaCommand::Reoffer { port: B, direction: Direction::SendOnly, like: None };
    wire.command(1, reoffer);
    let offered = wire.hosts[1].events.iter().find_map(|event| match event {
        MediaEvent::Offered(B, offer) => Some(offer.0.clone()),
        _ => None,
    });
    let offered = offered.expect("another offer");
    assert_eq!(kinds(&offered), [(true, true), (false, true)]);
    assert_eq!(offered.media[1].direction, Direction::SendOnly);
    assert_eq!(offered.bundle, answer.bundle);
}

#[test]
fn a_channel_that_cannot_be_is_refused_and_the_sound_stays() {
    let spoil: [fn(&mut Description); 4] = [
        |offer| offer.bundle.retain(|mid| mid == "0"),
        |offer| offer.media[0].sctp = None,
        |offer| offer.media[0].proto = "DTLS/SCTP".to_owned(),
        |offer| offer.media[0].formats = vec!["5000".to_owned()],
    ];
    for spoil in spoil {
        let mut wire = Wire::new(2);
        let mut offer = browser_offer(&mut wire);
        spoil(&mut offer);
        wire.answer(B, webrtc(), offer);
        assert_eq!(kinds(&wire.answered()), [(true, false), (false, true)]);
        assert_eq!(wire.answered().bundle, ["0"]);
    }
}

#[test]
fn phones_are_offered_none_and_get_none() {
    let mut wire = Wire::new(2);
    wire.offer(A, phone(Protection::Dtls));
    assert_eq!(kinds(&wire.offered()), [(false, true)]);
    let ice_phone = Profile { channel: false, ..webrtc() };
    let mut wire = Wire::new(2);
    let offer = browser_offer(&mut wire);
    wire.answer(B, ice_phone, offer);
    assert_eq!(kinds(&wire.answered()), [(true, false), (false, true)]);
}
