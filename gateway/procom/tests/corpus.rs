//! Replays the committed corpus of tokens, so that what was never signed is never believed; nightly
//! also what chance makes of it. (Frames are read inside the package: `src/corpus.rs`.)

#[path = "../../../tests/fuzz/replay.rs"]
mod replay;
#[path = "../../../tests/fuzz/checks/procom_token.rs"]
mod token;

#[test]
fn every_token_of_the_corpus_is_believed_or_refused_as_its_name_says() {
    replay::replay("procom_token", token::check);
}

#[test]
#[ignore = "200,000 mutations take minutes: tests/nightly runs them"]
fn mutations_of_the_corpus_of_tokens_break_no_promise() {
    replay::mutations("procom_token", token::check);
}
