//! What must hold of whatever is shown as a token, and of whatever stands in one that is signed.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gateway_procom::{Bearer, Secret, Token, TokenFault, Tokens};
use ring::hmac;

/// The key that the good files of the corpus are signed with.
const KEY: &str = "the key of the corpus of tokens!";
/// Before it, these files are not void.
const NOW_UNIX_S: u64 = 1_000;

/// A token is accepted only as it was signed, letter by letter; and what is signed but makes no
/// sense is refused. Whether the bytes are a token of ours is returned.
pub(crate) fn check(bytes: &[u8]) -> bool {
    let tokens = Tokens::new(&Secret::from(KEY)).expect("the key has 32 bytes");
    check_signed(&tokens, bytes);
    let text = String::from_utf8_lossy(bytes);
    let Ok(token) = tokens.verify(&text, NOW_UNIX_S) else { return false };
    assert_eq!(tokens.sign(&token), text);
    assert_eq!(tokens.verify(&text, token.expires_unix_s), Err(TokenFault::Expired));
    assert_eq!(Tokens::generate().verify(&text, NOW_UNIX_S), Err(TokenFault::Forged));
    true
}

/// Reads the bytes as what a signature proves.
fn check_signed(tokens: &Tokens, bytes: &[u8]) {
    let key = hmac::Key::new(hmac::HMAC_SHA256, KEY.as_bytes());
    let payload = URL_SAFE_NO_PAD.encode(bytes);
    let tag = hmac::sign(&key, format!("procom token 1 {payload}").as_bytes());
    let text = format!("{payload}.{}", URL_SAFE_NO_PAD.encode(tag));
    if let Ok(token) = tokens.verify(&text, NOW_UNIX_S) {
        assert!(token.expires_unix_s > NOW_UNIX_S);
        let again = tokens.sign(&token);
        // A demo account has no list of addresses: what stood there was not read.
        let Token { bearer: Bearer::Guest { .. } | Bearer::Demo(_), .. } = &token;
        assert_eq!(tokens.verify(&again, NOW_UNIX_S), Ok(token));
    }
}
