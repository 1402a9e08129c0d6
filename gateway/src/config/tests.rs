use super::*;

fn fault(text: &str) -> String {
    Config::read("gateway.toml", text).expect_err("a bad configuration").to_string()
}

const LOOPBACK: &str = "[media]\nbind = [\"127.0.0.1\"]\n";

#[test]
fn an_unknown_key_is_refused_with_file_line_and_key() {
    let fault = fault("[procom]\nplain = true\nlisten_on = 3\n");
    assert!(fault.starts_with("gateway.toml:3: listen_on"), "{fault}");
    assert!(fault.contains("unknown field"), "{fault}");
}

#[test]
fn a_value_of_the_wrong_kind_is_refused_without_showing_it() {
    let text = "[[account]]\nname = \"alice\"\n[account.sip]\npassword = 12345678\n";
    let fault = fault(text);
    assert!(fault.starts_with("gateway.toml:4: password"), "{fault}");
    assert!(!fault.contains("12345678") || fault.contains("integer"), "{fault}");
}

#[test]
fn a_rule_for_a_trunk_that_is_not_there_names_its_line() {
    let text = format!(
        "{LOOPBACK}[[account]]\nname = \"a\"\n[[route]]\nfrom = \"*\"\nmatch = \"*\"\ntrunk = \"sip.x\"\n"
    );
    let fault = fault(&text);
    assert!(fault.starts_with("gateway.toml:8: route[0].trunk: there is no trunk"), "{fault}");
}

#[test]
fn one_name_cannot_belong_to_two_accounts() {
    let text = format!(
        "{LOOPBACK}[[account]]\nname = \"a\"\nnumbers = [\"100\"]\n[[account]]\nname = \"b\"\nnumbers = [\"100\"]\n"
    );
    let fault = fault(&text);
    assert!(fault.starts_with("gateway.toml:7: account[1].name"), "{fault}");
    let text = format!("{LOOPBACK}[[account]]\nname = \"echo\"\n");
    assert!(Config::read("f", &text).is_err(), "the echo's name is taken");
}

#[test]
fn what_is_printed_masks_secrets() {
    let text = format!(
        "{LOOPBACK}[admin]\ntoken = \"tok-secret\"\n[[account]]\nname = \"a\"\npassword_hash = \
         \"$argon2id$v=19$m=8,t=1,p=1$dGVzdHNhbHQwMTIz$aGFzaHNlY3JldGhhc2hzZWNyZXQ\"\n[account.sip]\npassword = \"pw-secret\"\n"
    );
    let config = Config::read("f", &text).expect("a good configuration");
    let printed = toml::to_string(&config).expect("a configuration can be printed");
    for shown in [printed, format!("{config:?}")] {
        assert!(!shown.contains("-secret") && !shown.contains("aGFza"), "{shown}");
    }
}
