//! Challenging and judging (RFC 7616 §3.3 and §3.5).
//!
//! Only nonces that were answered rightly are remembered, to refuse the same nonce count twice.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use ring::digest::{Context, SHA256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::nonce::{self, Nonces};
use super::{Algorithm, Params, Proof, quote};
use crate::stack::flow::Flow;
use crate::stack::tokens::Tokens;
use crate::stack::wire::{Request, Uri};

/// How long a nonce is good.
const NONCE_LIFE: Duration = Duration::from_secs(600);
/// Rightly answered nonces remembered; older ones are answered `stale=true`.
const MAX_SPENT: usize = 65_536;

/// What proves a password: the hashes of user, realm and password. Zeroised on drop.
#[derive(Clone)]
pub struct Secret {
    md5: Zeroizing<String>,
    sha256: Zeroizing<String>,
}

impl Secret {
    /// Makes the hashes.
    pub fn new(user: &str, realm: &str, password: &str) -> Self {
        Self {
            md5: Algorithm::Md5.hash(&[user, realm, password]),
            sha256: Algorithm::Sha256.hash(&[user, realm, password]),
        }
    }

    fn of(&self, algorithm: Algorithm) -> &str {
        match algorithm {
            Algorithm::Md5 | Algorithm::Md5Sess => &self.md5,
            Algorithm::Sha256 | Algorithm::Sha256Sess => &self.sha256,
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// Credentials for our realm, before anybody has looked at the password.
#[derive(Debug)]
pub enum Claim {
    /// There are none.
    Absent,
    /// They answer no nonce that is live for their sender: it is unknown, too old, of another
    /// life of the gateway, or was made for another address. Nothing can be learned from them:
    /// challenge with `stale=true`.
    Dead,
    /// They answer a live nonce and lack something: nothing can be learned from them either.
    Broken,
    /// They can be judged.
    Live(Credentials),
}

/// An answer to a live nonce.
pub struct Credentials {
    params: Params,
    user: String,
    algorithm: Algorithm,
    serial: u64,
    count: u32,
}

impl Credentials {
    /// The user they name.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// What tells this answer from every other one: the same again is no new guess.
    pub fn print(&self, request: &Request) -> [u8; 16] {
        let mut context = Context::new(&SHA256);
        let method = request.method();
        let said = ["nonce", "nc", "cnonce", "uri", "response", "algorithm", "qop", "username"];
        let said = said.into_iter().map(|name| self.params.get(name).unwrap_or_default());
        for part in said.chain([method.as_str()]) {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
        *context.finish().as_ref().first_chunk().expect("SHA-256 has 32 bytes")
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials")
    }
}

/// What credentials prove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The request is the user's.
    Proven,
    /// The password is right and this nonce count was used before: challenge with `stale=true`.
    Stale,
    /// They are wrong.
    Refused,
}

/// Guards one realm.
pub struct Guard {
    realm: String,
    nonces: Nonces,
    /// Of every nonce answered rightly, by serial: the highest count and the 64 below it.
    spent: BTreeMap<u64, Spent>,
    /// Nonces up to this serial that are not in `spent` may have been answered and forgotten.
    floor: u64,
    decoy: Secret,
}

#[derive(Debug, Clone, Copy, Default)]
struct Spent {
    highest: u32,
    window: u64,
}

impl Guard {
    /// Guards `realm` with a key of its own.
    pub fn new(realm: &str, tokens: &mut Tokens, now: Instant) -> Self {
        Self {
            realm: realm.to_owned(),
            nonces: Nonces::new(tokens, now),
            spent: BTreeMap::new(),
            floor: 0,
            decoy: Secret::new("", realm, &tokens.token()),
        }
    }

    /// The realm.
    pub fn realm(&self) -> &str {
        &self.realm
    }

    /// The values of the challenge headers for this request, SHA-256 before MD5 (RFC 8760 §2.3).
    /// They share a nonce, which only an answer from where the request came makes good.
    pub fn challenges(
        &mut self,
        request: &Request,
        flow: Flow,
        is_stale: bool,
        now: Instant,
    ) -> Vec<String> {
        let offered: &[Algorithm] = if knows_md5_only(request) {
            &[Algorithm::Md5]
        } else {
            &[Algorithm::Sha256, Algorithm::Md5]
        };
        let first = self.first_number(request, "Authorization");
        let nonce = self.nonces.make(request, flow, first, now);
        let challenge = |algorithm: &Algorithm| {
            let stale = if is_stale { ", stale=true" } else { "" };
            format!(
                "Digest realm={}, nonce=\"{nonce}\", algorithm={}, qop=\"auth\"{stale}",
                quote(&self.realm),
                algorithm.name(),
            )
        };
        offered.iter().map(challenge).collect()
    }

    /// Reads the credentials in `header` (`Authorization` or `Proxy-Authorization`) of a request
    /// that came from there.
    pub fn claim(&self, request: &Request, header: &str, flow: Flow, now: Instant) -> Claim {
        let Some(params) = self.params(request, header) else { return Claim::Absent };
        let nonce = params.get("nonce").and_then(|nonce| self.nonces.read(nonce, flow, now));
        let Some(made) = nonce.filter(|made| made.age <= NONCE_LIFE) else { return Claim::Dead };
        credentials(params, made.serial).map_or(Claim::Broken, Claim::Live)
    }

    /// Judges credentials. `secret` is that of the user they name; for an unknown user the same
    /// work is done with a secret that is no user's.
    pub fn judge(
        &mut self,
        claim: &Credentials,
        request: &Request,
        secret: Option<&Secret>,
    ) -> Verdict {
        if !self.is_right(claim, request, secret).unwrap_or(false) {
            return Verdict::Refused;
        }
        if self.spend(claim.serial, claim.count) { Verdict::Proven } else { Verdict::Stale }
    }

    /// The CSeq number under which a request came first: that of the first challenged one, where
    /// this is a MESSAGE that comes again because it was challenged, by whatever life; else its own.
    /// To be believed of who is proven.
    pub fn first_number(&self, request: &Request, header: &str) -> Option<u32> {
        let params = self.params(request, header);
        let nonce = params.as_ref().and_then(|params| params.get("nonce"));
        let first = nonce.and_then(|nonce| nonce::first_number(nonce, request));
        first.or_else(|| request.fields().cseq().map(|(number, _)| number))
    }

    /// The credentials for our realm.
    fn params(&self, request: &Request, header: &str) -> Option<Params> {
        let offered = request.fields().texts(header);
        let mut all = offered.iter().filter_map(|value| Params::parse(value));
        all.find(|params| params.get("realm") == Some(&self.realm))
    }

    fn is_right(
        &self,
        claim: &Credentials,
        request: &Request,
        secret: Option<&Secret>,
    ) -> Option<bool> {
        let Credentials { params, algorithm, .. } = claim;
        let uri = params.get("uri")?;
        let counted = params.get("nc").zip(params.get("cnonce"));
        let counted = counted.filter(|_| params.get("qop").is_some());
        let method = request.method();
        let nonce = params.get("nonce")?;
        let proof = Proof { algorithm: *algorithm, nonce, counted, method: method.as_str(), uri };
        let right = proof.response(secret.unwrap_or(&self.decoy).of(*algorithm));
        let given = params.get("response")?.to_ascii_lowercase();
        let is_right = bool::from(right.as_bytes().ct_eq(given.as_bytes()));
        Some(is_right && secret.is_some() && is_same_resource(uri, request))
    }

    /// Uses up one count of a nonce; `false` when it was used so before.
    fn spend(&mut self, serial: u64, count: u32) -> bool {
        if !self.spent.contains_key(&serial) && serial <= self.floor {
            return false;
        }
        if !self.spent.entry(serial).or_default().take(count) {
            return false;
        }
        while self.spent.len() > MAX_SPENT {
            if let Some((oldest, _)) = self.spent.pop_first() {
                self.floor = self.floor.max(oldest);
            }
        }
        true
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Guard")
    }
}

/// What can be judged of an answer to a nonce; `None` where something of it is missing.
fn credentials(params: Params, serial: u64) -> Option<Credentials> {
    let user = params.get("username")?.to_owned();
    let algorithm = Algorithm::parse(params.get("algorithm"))?;
    params.get("uri")?;
    params.get("response")?;
    let count = match params.get("qop") {
        Some("auth") => {
            params.get("cnonce")?;
            u32::from_str_radix(params.get("nc")?, 16).ok()?
        }
        Some(_) => return None,
        None => 1,
    };
    Some(Credentials { params, user, algorithm, serial, count })
}

impl Spent {
    /// Takes a count once; counts more than 64 below the highest are refused unseen.
    fn take(&mut self, count: u32) -> bool {
        if count > self.highest {
            let shift = count - self.highest;
            self.window = self.window.checked_shl(shift).unwrap_or(0) | 1;
            self.highest = count;
            return true;
        }
        let below = self.highest - count;
        if count == 0 || below >= 64 || self.window & (1 << below) != 0 {
            return false;
        }
        self.window |= 1 << below;
        true
    }
}

/// Whether a client gives up at the sight of a hash it does not know, though "the client MUST
/// ignore any challenge it does not understand" (RFC 8760 §2.4): the library of baresip before 2.0
/// does. Nothing is lost by believing the name: a challenge is not protected against those who
/// could forge it.
fn knows_md5_only(request: &Request) -> bool {
    let fields = request.fields();
    let agent = fields.text("User-Agent").unwrap_or_default().to_ascii_lowercase();
    let is_old_baresip =
        ["baresip v0.", "baresip v1."].iter().any(|known| agent.starts_with(known));
    is_old_baresip || fields.top_via().and_then(|via| via.branch).is_some_and(|it| is_of_sipp(&it))
}

/// sipp reads all challenges as one and stops at the first algorithm. Its scenarios name no agent,
/// but the branches it makes are its own: `z9hG4bK-` and three numbers.
fn is_of_sipp(branch: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    branch.strip_prefix("z9hG4bK-").is_some_and(|rest| {
        let mut parts = rest.split('-');
        parts.by_ref().take(3).filter(|part| is_number(part)).count() == 3 && parts.next().is_none()
    })
}

/// Whether the credentials are for what was asked (RFC 7616 §3.4.6). Clients differ in port and
/// parameters, so user and host count; some sign the host alone, which is no worse: credentials are
/// taken once.
fn is_same_resource(uri: &str, request: &Request) -> bool {
    let Some(signed) = Uri::parse(uri) else { return false };
    let asked = request.uri();
    signed.host() == asked.host() && (signed.user().is_none() || signed.user() == asked.user())
}
