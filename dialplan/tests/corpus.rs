//! Replays the committed corpora of what people dial, of contacts, rules and substitutions; nightly
//! also what chance makes of them.

#[path = "../../tests/fuzz/checks/dialled.rs"]
mod dialled;
#[path = "../../tests/fuzz/checks/naptr.rs"]
mod naptr;
#[path = "../../tests/fuzz/replay.rs"]
mod replay;
#[path = "../../tests/fuzz/checks/rules.rs"]
mod rules;
#[path = "../../tests/fuzz/checks/vcard.rs"]
mod vcard;

#[test]
fn everything_dialled_in_the_corpus_is_read_or_refused_as_its_name_says() {
    replay::replay("dialled", dialled::check);
}

#[test]
fn every_file_of_contacts_in_the_corpus_is_read_or_refused_as_its_name_says() {
    replay::replay("vcard", vcard::check);
}

#[test]
fn every_file_of_rules_in_the_corpus_is_read_or_refused_as_its_name_says() {
    replay::replay("rules", rules::check);
}

#[test]
fn every_substitution_of_the_corpus_is_applied_or_refused_as_its_name_says() {
    replay::replay("naptr", naptr::check);
}

#[test]
#[ignore = "200,000 mutations take minutes: tests/nightly runs them"]
fn mutations_of_the_corpus_of_dialled_texts_break_no_promise() {
    replay::mutations("dialled", dialled::check);
}

#[test]
#[ignore = "200,000 mutations take minutes: tests/nightly runs them"]
fn mutations_of_the_corpus_of_contacts_break_no_promise() {
    replay::mutations("vcard", vcard::check);
}

#[test]
#[ignore = "200,000 mutations take minutes: tests/nightly runs them"]
fn mutations_of_the_corpus_of_rules_break_no_promise() {
    replay::mutations("rules", rules::check);
}

#[test]
#[ignore = "200,000 mutations take minutes: tests/nightly runs them"]
fn mutations_of_the_corpus_of_substitutions_break_no_promise() {
    replay::mutations("naptr", naptr::check);
}
