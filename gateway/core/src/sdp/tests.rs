use super::{SdpFault, parse, render};
use crate::description::{Direction, MediaKind, Setup};
use proptest::prelude::*;

const BROWSER: &str = "v=0\r\no=- 46117317 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n\
a=fingerprint:sha-256 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF\r\n\
m=audio 9 UDP/TLS/RTP/SAVPF 111 9 0 8 110\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\n\
a=ice-ufrag:abcd\r\na=ice-pwd:0123456789abcdef012345\r\na=ice-options:trickle\r\na=setup:actpass\r\na=mid:0\r\n\
a=sendrecv\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\na=rtcp-fb:111 transport-cc\r\na=fmtp:111 minptime=10;useinbandfec=1\r\n\
a=rtpmap:9 G722/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:110 telephone-event/48000\r\n\
a=candidate:1 1 udp 2122260223 127.0.0.1 40000 typ host generation 0\r\na=ssrc:1234 cname:xyz\r\n\
m=video 0 UDP/TLS/RTP/SAVPF 96\r\na=mid:1\r\na=rtpmap:96 VP8/90000\r\n";

const PHONE: &str = "v=0\no=bob 1 1 IN IP4 192.0.2.1\ns=call\nc=IN IP4 192.0.2.1\nt=0 0\n\
m=audio 40000 RTP/SAVP 0 101\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:c2VjcmV0\na=rtpmap:101 telephone-event/8000\na=fmtp:101 0-15\na=ptime:20\na=sendonly\n";

#[test]
fn a_browsers_offer_is_read() {
    let description = parse(BROWSER).expect("a good SDP");
    assert_eq!(description.bundle, ["0", "1"]);
    let audio = description.audio().expect("it has audio");
    assert_eq!(audio.setup, Some(Setup::ActPass));
    assert!(audio.rtcp_mux && audio.trickle);
    assert_eq!(audio.ice.as_ref().map(|ice| ice.ufrag.as_str()), Some("abcd"));
    assert_eq!(audio.fingerprints[0].bytes.len(), 32, "the session's fingerprint holds here");
    let names: Vec<_> = audio.codecs.iter().map(|codec| codec.name.as_str()).collect();
    assert_eq!(names, ["opus", "G722", "PCMU", "PCMA", "telephone-event"]);
    assert_eq!(audio.codecs[0].channels, 2);
    assert_eq!(audio.candidates.len(), 1);
    assert_eq!(audio.ssrc, Some((1234, "xyz".to_owned())));
    assert_eq!(description.media[1].kind, MediaKind::Video);
    assert!(description.media[1].is_refused());
}

#[test]
fn a_phones_offer_is_read_though_its_lines_end_in_lf() {
    let description = parse(PHONE).expect("a good SDP");
    let audio = description.audio().expect("it has audio");
    assert_eq!(audio.rtp_address(), Some("192.0.2.1:40000".parse().expect("an address")));
    assert_eq!(audio.rtcp_address(), Some("192.0.2.1:40001".parse().expect("an address")));
    assert_eq!(audio.direction, Direction::SendOnly);
    assert_eq!(audio.codecs[0].name, "PCMU", "payload type 0 needs no rtpmap");
    assert_eq!(audio.telephone_event(Some(8000)).map(|codec| codec.payload_type), Some(101));
    assert_eq!(audio.crypto.len(), 1);
    assert!(!format!("{audio:?}").contains("c2VjcmV0"), "keys are not for logs");
}

#[test]
fn what_is_rendered_is_read_back_the_same() {
    for text in [BROWSER, PHONE] {
        let description = parse(text).expect("a good SDP");
        let mut again = parse(&render(&description)).expect("our own SDP");
        for (line, old) in again.media.iter_mut().zip(&description.media) {
            if old.is_refused() {
                line.codecs.clone_from(&old.codecs);
                line.direction = old.direction;
                line.fingerprints.clone_from(&old.fingerprints);
                line.address = old.address;
            }
        }
        assert_eq!(again, description);
    }
}

#[test]
fn faults_name_their_line() {
    assert_eq!(parse("hello"), Err(SdpFault::NoVersion));
    assert_eq!(parse("v=0\r\n"), Err(SdpFault::NoMedia));
    assert_eq!(parse("v=0\r\nm=audio x RTP/AVP 0\r\n"), Err(SdpFault::BadLine(2)));
    let many = format!("v=0\r\nm=audio 9 RTP/AVP 0\r\n{}", "a=candidate:1\r\n".repeat(51));
    assert_eq!(parse(&many), Err(SdpFault::TooMany(53)));
    assert_eq!(parse(&"v=0".repeat(20_000)), Err(SdpFault::TooLong));
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "v=0\\PC{0,300}", cut in 0usize..1200) {
        let _ = parse(&text);
        let mangled: String = BROWSER.chars().take(cut).chain(text.chars()).collect();
        if let Ok(description) = parse(&mangled) {
            let _ = parse(&render(&description));
        }
    }

    #[test]
    fn no_mutation_of_a_good_sdp_makes_the_reader_panic(at in 0usize..1200, letter in any::<char>()) {
        let mut letters: Vec<char> = PHONE.chars().chain(BROWSER.chars().skip(4)).collect();
        let at = at % letters.len();
        letters[at] = letter;
        let _ = parse(&letters.into_iter().collect::<String>());
    }
}
