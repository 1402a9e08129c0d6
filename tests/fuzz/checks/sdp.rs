//! What must hold of whatever the SDP parser is given.

use std::collections::BTreeSet;

use gateway_core::description::{Codec, Description, MediaLine};
use gateway_core::sdp::{
    MAX_CANDIDATES, MAX_FORMATS, MAX_KEYS, MAX_MEDIA_LINES, MAX_SDP_BYTES, SdpFault, parse, render,
};

/// What is accepted holds the limits, is rendered to what is accepted too, and after one more
/// rendering stays as it is. Whether the bytes were accepted is returned.
pub(crate) fn check(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let Ok(description) = parse(&text) else { return false };
    assert_limits(&description);
    let rendering = render(&description);
    let controls = |c: char| c.is_ascii_control() && !matches!(c, '\t' | '\r' | '\n');
    assert!(!rendering.contains(controls) && !rendering.replace("\r\n", "").contains(['\r', '\n']));
    let Some(again) = read_again(&rendering) else { return true };
    assert_same(&description, &again);
    // A media line without formats, and a payload type listed twice, settle in the second round.
    let settled = render(&again);
    if let Some(last) = read_again(&settled) {
        assert_eq!(render(&last), settled);
    }
    true
}

/// Reads a rendering; `None` when it is too long, because what stood once above all media lines now
/// stands in each.
fn read_again(text: &str) -> Option<Description> {
    match parse(text) {
        Ok(description) => Some(description),
        Err(SdpFault::TooLong) if text.len() > MAX_SDP_BYTES => None,
        Err(fault) => panic!("{fault}: {}", text.escape_debug()),
    }
}

fn assert_limits(description: &Description) {
    assert!((1..=MAX_MEDIA_LINES).contains(&description.media.len()));
    assert!(description.bundle.len() <= MAX_MEDIA_LINES);
    for line in &description.media {
        assert!(line.formats.len() <= MAX_FORMATS && line.codecs.len() <= line.formats.len());
        assert!(line.candidates.len() <= MAX_CANDIDATES);
        assert!(line.crypto.len() <= MAX_KEYS && line.fingerprints.len() <= MAX_KEYS);
        assert!(line.zrtp_hashes.len() <= MAX_KEYS);
        assert!(line.codecs.iter().all(|codec| codec.payload_type < 128));
    }
}

fn assert_same(one: &Description, two: &Description) {
    assert_eq!(one.session, two.session);
    assert_eq!(one.bundle, two.bundle);
    assert_eq!(one.is_ice_lite, two.is_ice_lite);
    assert_eq!(one.media.len(), two.media.len());
    for (one, two) in one.media.iter().zip(&two.media) {
        assert_same_line(one, two);
    }
}

fn assert_same_line(one: &MediaLine, two: &MediaLine) {
    assert_eq!(
        (&one.kind, &one.proto, one.port, &one.mid),
        (&two.kind, &two.proto, two.port, &two.mid)
    );
    if one.is_refused() {
        return;
    }
    assert_eq!((one.rtcp, one.rtcp_mux), (two.rtcp, two.rtcp_mux));
    assert_eq!((one.direction, one.ptime_ms), (two.direction, two.ptime_ms));
    assert_eq!((&one.crypto, &one.fingerprints), (&two.crypto, &two.fingerprints));
    assert_eq!((one.setup, &one.ice), (two.setup, &two.ice));
    assert_eq!((&one.candidates, one.trickle), (&two.candidates, two.trickle));
    assert_eq!(one.end_of_candidates, two.end_of_candidates);
    assert_eq!((&one.ssrc, &one.msid), (&two.ssrc, &two.msid));
    assert_eq!((&one.zrtp_hashes, one.sctp), (&two.zrtp_hashes, two.sctp));
    let named = |line: &MediaLine| -> Vec<Codec> {
        line.codecs.iter().filter(|codec| !codec.name.is_empty()).cloned().collect()
    };
    let codecs = named(one);
    let kinds: BTreeSet<u8> = codecs.iter().map(|codec| codec.payload_type).collect();
    if !codecs.is_empty() && kinds.len() == codecs.len() {
        let essence = |codecs: Vec<Codec>| -> Vec<_> {
            let essence =
                |codec: Codec| (codec.payload_type, codec.name, codec.clock_hz, codec.fmtp);
            codecs.into_iter().map(essence).collect()
        };
        assert_eq!(essence(codecs), essence(named(two)));
    }
}
