//! Signed short-lived tokens: a guest who may reach a few addresses, or a demo account.
//!
//! ```text
//! base64url(JSON of what is granted) "." base64url(HMAC-SHA-256 over a label and the former)
//! ```
//!
//! The gateway keeps nothing of a token: the signature proves it (RFC 2104). A key made at start
//! makes the tokens of an earlier life void.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gateway_core::AccountId;
use ring::hmac;
use ring::rand::SystemRandom;
use serde::{Deserialize, Serialize};

use crate::secret::Secret;

/// Longest token that is looked at, in bytes.
const MAX_TOKEN_BYTES: usize = 4096;
/// Shortest key, in bytes: as long as the hash (RFC 2104 §3).
const MIN_KEY_BYTES: usize = 32;
/// Keeps these signatures apart from any other use of the key.
const LABEL: &[u8] = b"procom token 1 ";

/// What a token grants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Who bears it.
    pub bearer: Bearer,
    /// When it is void, in seconds since 1970.
    pub expires_unix_s: u64,
    /// The web origin it may be used from, like `https://shop.example`; any where there is none.
    pub origin: Option<String>,
}

/// Who bears a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bearer {
    /// Nobody's account: reaches only what is named, and cannot be called.
    Guest {
        /// The name shown to whoever is called, unproven.
        display: Option<String>,
        /// The only addresses that may be reached.
        only: Vec<String>,
    },
    /// That account, as if it had given its password.
    Demo(AccountId),
}

/// Why a token is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenFault {
    /// It was not made by this gateway, or was changed.
    #[error("the token is not one of this gateway's")]
    Forged,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
}

/// A key is too short to sign with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a token key has at least {MIN_KEY_BYTES} bytes")]
pub struct WeakKey;

/// Signs and verifies tokens.
#[derive(Clone, Debug)]
pub struct Tokens {
    key: hmac::Key,
}

#[derive(Serialize, Deserialize)]
struct Payload {
    k: Kind,
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<String>,
    e: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    o: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    w: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Guest,
    Demo,
}

impl Tokens {
    /// With a key from the configuration.
    ///
    /// # Errors
    /// The key has fewer than 32 bytes.
    pub fn new(key: &Secret) -> Result<Self, WeakKey> {
        let key = key.reveal().as_bytes();
        if key.len() < MIN_KEY_BYTES {
            return Err(WeakKey);
        }
        Ok(Self { key: hmac::Key::new(hmac::HMAC_SHA256, key) })
    }

    /// With a key of its own, which ends with this process.
    #[must_use]
    pub fn generate() -> Self {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())
            .expect("the system has random numbers");
        Self { key }
    }

    /// Makes a token, of letters that may stand in a URL.
    #[must_use]
    pub fn sign(&self, token: &Token) -> String {
        let (k, n, o) = match &token.bearer {
            Bearer::Guest { display, only } => (Kind::Guest, display.clone(), only.clone()),
            Bearer::Demo(account) => (Kind::Demo, Some(account.to_string()), Vec::new()),
        };
        let payload = Payload { k, n, e: token.expires_unix_s, o, w: token.origin.clone() };
        let json = serde_json::to_vec(&payload).expect("a payload has no fallible members");
        let payload = URL_SAFE_NO_PAD.encode(json);
        let tag = hmac::sign(&self.key, &labelled(&payload));
        format!("{payload}.{}", URL_SAFE_NO_PAD.encode(tag))
    }

    /// Reads a token; the signature is compared in constant time.
    ///
    /// # Errors
    /// It is not ours, or its time is over.
    pub fn verify(&self, text: &str, now_unix_s: u64) -> Result<Token, TokenFault> {
        if text.len() > MAX_TOKEN_BYTES {
            return Err(TokenFault::Forged);
        }
        let (payload, tag) = text.split_once('.').ok_or(TokenFault::Forged)?;
        let tag = URL_SAFE_NO_PAD.decode(tag).map_err(|_| TokenFault::Forged)?;
        hmac::verify(&self.key, &labelled(payload), &tag).map_err(|_| TokenFault::Forged)?;
        let json = URL_SAFE_NO_PAD.decode(payload).map_err(|_| TokenFault::Forged)?;
        let payload: Payload = serde_json::from_slice(&json).map_err(|_| TokenFault::Forged)?;
        if payload.e <= now_unix_s {
            return Err(TokenFault::Expired);
        }
        let bearer = match (payload.k, payload.n) {
            (Kind::Guest, display) => Bearer::Guest { display, only: payload.o },
            (Kind::Demo, Some(account)) => Bearer::Demo(account.into()),
            (Kind::Demo, None) => return Err(TokenFault::Forged),
        };
        Ok(Token { bearer, expires_unix_s: payload.e, origin: payload.w })
    }
}

fn labelled(payload: &str) -> Vec<u8> {
    [LABEL, payload.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn guest() -> Token {
        Token {
            bearer: Bearer::Guest {
                display: Some("Visitor".to_owned()),
                only: vec!["procom:shop".to_owned()],
            },
            expires_unix_s: 1000,
            origin: Some("https://shop.example".to_owned()),
        }
    }

    #[test]
    fn a_token_is_read_back_until_it_expires() {
        let tokens = Tokens::generate();
        let demo =
            Token { bearer: Bearer::Demo("alice".into()), expires_unix_s: 1000, origin: None };
        for token in [guest(), demo] {
            let text = tokens.sign(&token);
            assert_eq!(tokens.verify(&text, 999), Ok(token));
            assert_eq!(tokens.verify(&text, 1000), Err(TokenFault::Expired));
        }
    }

    #[test]
    fn the_token_of_another_key_is_forged() {
        let text = Tokens::generate().sign(&guest());
        assert_eq!(Tokens::generate().verify(&text, 0), Err(TokenFault::Forged));
    }

    #[test]
    fn a_short_key_is_refused() {
        assert!(Tokens::new(&Secret::from("short")).is_err());
        assert!(Tokens::new(&Secret::from("0123456789abcdef0123456789abcdef")).is_ok());
    }

    proptest! {
        #[test]
        fn a_changed_token_is_forged(at in 0_usize..200, letter in "[A-Za-z0-9_.-]") {
            let tokens = Tokens::generate();
            let text = tokens.sign(&guest());
            let at = at % text.len();
            let mut changed = text.clone();
            changed.replace_range(at..=at, &letter);
            prop_assume!(changed != text);
            prop_assert_eq!(tokens.verify(&changed, 0), Err(TokenFault::Forged));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,200}") {
            prop_assert!(Tokens::generate().verify(&text, 0).is_err());
        }
    }
}
