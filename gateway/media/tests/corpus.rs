//! Replays the committed corpus through every parser that reads what a stranger sends, so that what
//! once crashed an implementation, ours or another's, never crashes ours.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic, too")]

use std::fs;
use std::path::Path;

use gateway_core::description::CryptoLine;
use gateway_media::classify::classify;
use gateway_media::dtmf::Receiver;
use gateway_media::protection::sdes;
use gateway_media::rewriter::Rewriter;
use gateway_media::rtcp::{self, Reporter};
use gateway_media::rtp::Header;
use gateway_media::srtp::{MAX_TAIL_BYTES, MasterKey, Opener, Sealer, Suite};

/// Name and bytes of each file of one corpus.
fn corpus(parser: &str) -> Vec<(String, Vec<u8>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus").join(parser);
    let files = fs::read_dir(&root).unwrap_or_else(|error| panic!("{}: {error}", root.display()));
    let mut files: Vec<_> = files
        .map(|file| {
            let file = file.unwrap();
            (file.file_name().to_string_lossy().into_owned(), fs::read(file.path()).unwrap())
        })
        .collect();
    files.sort();
    assert!(files.len() > 5, "the corpus of {parser} is in its place");
    files
}

#[expect(
    clippy::disallowed_methods,
    reason = "an Instant can be had in no other way; only steps from it count"
)]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}

#[test]
fn no_rtp_packet_of_the_corpus_makes_anything_panic() {
    let mut rewriter = Rewriter::new(1, 2, 3, 8_000);
    let mut receiver = Receiver::new(8_000);
    for (name, bytes) in corpus("rtp") {
        let _ = classify(&bytes);
        if let Some(header) = Header::parse(&bytes) {
            let payload = header.payload(&bytes);
            assert!(payload.len() < bytes.len(), "{name}");
            receiver.handle_packet(header.timestamp, payload, now());
        }
        let mut packet = bytes.clone();
        let _ = rewriter.rewrite(&mut packet, now());
        assert_eq!(packet.len(), bytes.len());
    }
}

#[test]
fn no_rtcp_packet_of_the_corpus_makes_anything_panic() {
    let mut reporter = Reporter::new(1, "leg".to_owned(), 8_000, 0, now());
    for (name, bytes) in corpus("rtcp") {
        let _ = classify(&bytes);
        let is_read = reporter.handle_rtcp(&bytes, now()).is_ok();
        let is_parsed = rtcp::parse(&bytes).map(Iterator::count).is_ok();
        assert_eq!(is_read, is_parsed, "{name}");
    }
}

#[test]
fn nothing_of_the_corpus_opens_under_a_key_it_was_not_sealed_with() {
    let packets: Vec<_> = ["srtp", "rtp", "rtcp"].into_iter().flat_map(corpus).collect();
    for suite in Suite::PREFERRED {
        let key = MasterKey::generate(suite, &mut |bytes| bytes.fill(0x5a));
        let (mut opener, mut sealer) = (Opener::new(&key), Sealer::new(&key));
        for (name, bytes) in &packets {
            assert!(opener.open_rtp(&mut bytes.clone()).is_err(), "{name}");
            assert!(opener.open_rtcp(&mut bytes.clone()).is_err(), "{name}");
            let mut buffer = [bytes.as_slice(), &[0; MAX_TAIL_BYTES]].concat();
            let _ = sealer.seal_rtp(&mut buffer.clone(), bytes.len());
            let _ = sealer.seal_rtcp(&mut buffer, bytes.len());
        }
    }
}

#[test]
fn no_crypto_line_of_the_corpus_makes_anything_panic_or_weakens_a_key() {
    for (name, bytes) in corpus("sdes") {
        let line = CryptoLine(String::from_utf8_lossy(&bytes).into_owned());
        let is_usable = sdes::Line::parse(&line).is_ok();
        let is_meant_to_be = ["plain", "lifetime", "no_padding"].contains(&name.as_str());
        assert_eq!(is_usable, is_meant_to_be, "{name}");
    }
}
