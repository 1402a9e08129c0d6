//! Replays the committed corpus of frames, so that what once tripped a parser never trips ours;
//! nightly also what chance makes of them.

#[path = "../../../tests/fuzz/checks/procom_frame.rs"]
mod frame;
#[path = "../../../tests/fuzz/replay.rs"]
mod replay;

#[test]
fn every_frame_of_the_corpus_is_read_or_refused_as_its_name_says() {
    replay::replay("procom_frame", frame::check);
}

#[test]
#[ignore = "200,000 mutations take minutes: tests/nightly runs them"]
fn mutations_of_the_corpus_of_frames_break_no_promise() {
    replay::mutations("procom_frame", frame::check);
}
