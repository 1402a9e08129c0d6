//! What must hold of whatever datagram reaches the media plane, and of keys in descriptions.

use std::time::Instant;

use gateway_core::description::CryptoLine;
use gateway_media::classify::classify;
use gateway_media::dtmf::Receiver;
use gateway_media::protection::sdes;
use gateway_media::rewriter::Rewriter;
use gateway_media::rtcp::{self, Reporter};
use gateway_media::rtp::Header;
use gateway_media::srtp::{MAX_TAIL_BYTES, MasterKey, Opener, Sealer, Suite};

#[expect(clippy::disallowed_methods, reason = "an Instant can be had in no other way")]
fn now() -> Instant {
    Instant::now()
}

/// A payload lies inside its packet, and rewriting never changes a packet's length.
pub(crate) fn check_rtp(bytes: &[u8]) {
    let _ = classify(bytes);
    if let Some(header) = Header::parse(bytes) {
        let payload = header.payload(bytes);
        assert!(payload.len() < bytes.len());
        let mut receiver = Receiver::new(8_000);
        receiver.handle_packet(header.timestamp, payload, now());
    }
    let mut packet = bytes.to_vec();
    let _ = Rewriter::new(1, 2, 3, 8_000).rewrite(&mut packet, now());
    assert_eq!(packet.len(), bytes.len());
}

/// What is parsed is what the reporter takes.
pub(crate) fn check_rtcp(bytes: &[u8]) {
    let _ = classify(bytes);
    let mut reporter = Reporter::new(1, "leg".to_owned(), 8_000, 0, now());
    let is_parsed = rtcp::parse(bytes).map(Iterator::count).is_ok();
    assert_eq!(reporter.handle_rtcp(bytes, now()).is_ok(), is_parsed);
}

/// Nothing opens under a key it was not sealed with; what is sealed opens.
pub(crate) fn check_srtp(bytes: &[u8]) {
    for suite in Suite::PREFERRED {
        let key = MasterKey::generate(suite, &mut |bytes| bytes.fill(0x5a));
        let (mut opener, mut sealer) = (Opener::new(&key), Sealer::new(&key));
        assert!(opener.open_rtp(&mut bytes.to_vec()).is_err());
        assert!(opener.open_rtcp(&mut bytes.to_vec()).is_err());
        let mut buffer = [bytes, &[0; MAX_TAIL_BYTES]].concat();
        if let Ok(length) = sealer.seal_rtp(&mut buffer, bytes.len()) {
            let opened = opener.open_rtp(&mut buffer[..length]).expect("sealed with this key");
            assert_eq!(&buffer[..opened], bytes);
        }
        let mut buffer = [bytes, &[0; MAX_TAIL_BYTES]].concat();
        if let Ok(length) = sealer.seal_rtcp(&mut buffer, bytes.len()) {
            let opened = opener.open_rtcp(&mut buffer[..length]).expect("sealed with this key");
            assert_eq!(&buffer[..opened], bytes);
        }
    }
}

/// A line that can be used is rendered to one that can be used, with the same tag and suite.
pub(crate) fn check_sdes(bytes: &[u8]) {
    let line = CryptoLine(String::from_utf8_lossy(bytes).into_owned());
    if let Ok(read) = sdes::Line::parse(&line) {
        let rendered = read.render();
        let again = sdes::Line::parse(&rendered).expect("a line of ours");
        assert_eq!((read.tag, read.key.suite()), (again.tag, again.key.suite()));
        assert!(again.render() == rendered);
    }
}
