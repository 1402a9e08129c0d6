//! Replays the committed corpora of SDP and addresses, so that what once tripped a parser never
//! trips ours; nightly also what chance makes of them.

#[path = "../../../tests/fuzz/checks/address.rs"]
mod address;
#[path = "../../../tests/fuzz/replay.rs"]
mod replay;
#[path = "../../../tests/fuzz/checks/sdp.rs"]
mod sdp;

#[test]
fn every_sdp_of_the_corpus_is_read_or_refused_as_its_name_says() {
    replay::replay("sdp", sdp::check);
}

#[test]
fn every_address_of_the_corpus_is_read_or_refused_as_its_name_says() {
    replay::replay("address", address::check);
}

#[test]
#[ignore = "200,000 mutations take minutes: tests/nightly runs them"]
fn mutations_of_the_corpus_of_sdp_break_no_promise() {
    replay::mutations("sdp", sdp::check);
}

#[test]
#[ignore = "200,000 mutations take minutes: tests/nightly runs them"]
fn mutations_of_the_corpus_of_addresses_break_no_promise() {
    replay::mutations("address", address::check);
}
