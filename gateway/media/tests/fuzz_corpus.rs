//! Replays the committed corpus of STUN; nightly also what chance makes of all corpora of the media
//! plane. (`corpus.rs` replays the others.)

use std::cell::RefCell;

#[path = "../../../tests/fuzz/checks/media.rs"]
mod media;
#[path = "../../../tests/fuzz/replay.rs"]
mod replay;
#[path = "../../../tests/fuzz/checks/stun.rs"]
mod stun;

#[test]
fn every_stun_message_of_the_corpus_is_read_or_refused_as_its_name_says() {
    let stranger = RefCell::new(stun::Stranger::new());
    replay::replay("stun", |bytes| stranger.borrow_mut().check(bytes));
}

#[test]
#[ignore = "200,000 mutations take minutes: tests/nightly runs them"]
fn mutations_of_the_corpus_of_stun_are_never_answered() {
    let stranger = RefCell::new(stun::Stranger::new());
    replay::mutations("stun", |bytes| stranger.borrow_mut().check(bytes));
}

#[test]
#[ignore = "200,000 mutations take minutes: tests/nightly runs them"]
fn mutations_of_the_corpus_of_rtp_break_no_promise() {
    replay::mutations("rtp", media::check_rtp);
}

#[test]
#[ignore = "200,000 mutations take minutes: tests/nightly runs them"]
fn mutations_of_the_corpus_of_rtcp_break_no_promise() {
    replay::mutations("rtcp", media::check_rtcp);
}

#[test]
#[ignore = "200,000 mutations take minutes: tests/nightly runs them"]
fn mutations_of_the_corpus_of_srtp_never_open() {
    replay::mutations("srtp", media::check_srtp);
}

#[test]
#[ignore = "200,000 mutations take minutes: tests/nightly runs them"]
fn mutations_of_the_corpus_of_sdes_break_no_promise() {
    replay::mutations("sdes", media::check_sdes);
}
