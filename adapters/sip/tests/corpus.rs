//! Replays the committed corpora of SIP messages, of streams of them and of digest header fields,
//! so that what once tripped a parser never trips ours; nightly also what chance makes of them.

#[path = "../../../tests/fuzz/checks/sip_body.rs"]
mod body;
#[path = "../../../tests/fuzz/checks/sip_digest.rs"]
mod digest;
#[path = "../../../tests/fuzz/checks/sip_message.rs"]
mod message;
#[path = "../../../tests/fuzz/replay.rs"]
mod replay;
#[path = "../../../tests/fuzz/checks/sip_stream.rs"]
mod stream;

#[test]
fn every_message_of_the_corpus_is_read_or_refused_as_its_name_says() {
    replay::replay("sip_message", message::check);
}

#[test]
fn every_stream_of_the_corpus_is_cut_or_given_up_as_its_name_says() {
    replay::replay("sip_stream", stream::check);
}

#[test]
fn every_body_of_the_corpus_is_read_or_refused_as_its_name_says() {
    replay::replay("sip_body", body::check);
}

#[test]
fn no_digest_of_the_corpus_proves_anything_or_is_answered_twice() {
    for (_, bytes) in replay::corpus("sip_digest") {
        digest::check(&bytes);
    }
}

#[test]
#[ignore = "200,000 mutations take minutes: tests/nightly runs them"]
fn mutations_of_the_corpus_of_messages_break_no_promise() {
    replay::mutations("sip_message", message::check);
}

#[test]
#[ignore = "200,000 mutations take minutes: tests/nightly runs them"]
fn mutations_of_the_corpus_of_streams_break_no_promise() {
    replay::mutations("sip_stream", stream::check);
}

#[test]
#[ignore = "200,000 mutations take minutes: tests/nightly runs them"]
fn mutations_of_the_corpus_of_digests_break_no_promise() {
    replay::mutations("sip_digest", digest::check);
}

#[test]
#[ignore = "200,000 mutations take minutes: tests/nightly runs them"]
fn mutations_of_the_corpus_of_bodies_break_no_promise() {
    replay::mutations("sip_body", body::check);
}
