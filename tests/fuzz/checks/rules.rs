//! What must hold of whatever file of rules is given.

use dialplan::Rules;
use dialplan::reading::Variants;
use dialplan::rules::Call;

/// Rules that are read can be asked, and name no more trunks than they have letters; a fault names
/// a line of the file.
pub(crate) fn check(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let rules = match Rules::parse(&text) {
        Ok(rules) => rules,
        Err(fault) => {
            let lines = text.lines().count() + 1;
            assert!(fault.line.is_none_or(|line| (1..=lines).contains(&line)), "{fault}");
            return false;
        }
    };
    for text in ["+4532123456", "112", "sip:bob@example.org", ""] {
        let call = Call {
            account: "alice",
            trunk: "procom",
            text,
            dialled: text,
            number: None,
            variants: &Variants::default(),
            now_s: 0,
        };
        assert!(rules.find(&call).len() <= rules.len());
    }
    assert!(rules.trunks().map(str::len).sum::<usize>() <= text.len());
    true
}
