//! Answering a challenge with a trunk's credentials (RFC 3261 §22.2, RFC 7616 §3.4).
//!
//! Who calls this has made sure that the challenge answers a request of ours and came from the
//! trunk; nobody else ever gets an answer (CVE-2021-41158 is what happens otherwise).

use std::fmt;

use zeroize::Zeroizing;

use super::{Algorithm, Params, Proof, quote};
use crate::stack::wire::{Request, Response};

/// The credentials of one trunk.
pub struct Responder {
    user: String,
    password: Zeroizing<String>,
    /// The only realm answered; learned from the first challenge when not configured.
    realm: Option<String>,
    nonce: String,
    count: u32,
}

impl Responder {
    /// Takes the trunk's user name and password, and the realm when it is known.
    pub fn new(user: &str, password: &str, realm: Option<&str>) -> Self {
        Self {
            user: user.to_owned(),
            password: Zeroizing::new(password.to_owned()),
            realm: realm.map(str::to_owned),
            nonce: String::new(),
            count: 0,
        }
    }

    /// Puts credentials into `request`, which `response` (401 or 407) refused. `false`: there is
    /// nothing to answer, or this very nonce was answered before in the request, so that the
    /// password is wrong.
    pub fn answer(&mut self, request: &mut Request, response: &Response, cnonce: &str) -> bool {
        let (asks, answers) = match response.status() {
            401 => ("WWW-Authenticate", "Authorization"),
            407 => ("Proxy-Authenticate", "Proxy-Authorization"),
            _ => return false,
        };
        let challenge = self.strongest(&response.fields().texts(asks));
        let Some((algorithm, params)) = challenge else { return false };
        let (Some(realm), Some(nonce)) = (params.get("realm"), params.get("nonce")) else {
            return false;
        };
        let was_answered = request
            .fields()
            .texts(answers)
            .iter()
            .filter_map(|value| Params::parse(value))
            .any(|earlier| earlier.get("nonce") == Some(nonce));
        if was_answered {
            return false;
        }
        self.realm.get_or_insert_with(|| realm.to_owned());
        self.count = if self.nonce == nonce { self.count + 1 } else { 1 };
        nonce.clone_into(&mut self.nonce);
        let has_qop = params.get("qop").is_some();
        let value = self.credentials(algorithm, &params, has_qop.then_some(cnonce), request);
        request.set(answers, &value);
        true
    }

    /// The strongest challenge we can answer: an attacker on the way cannot make the weakest win
    /// by reordering, whatever RFC 8760 §2.4 says about the topmost.
    fn strongest(&self, challenges: &[String]) -> Option<(Algorithm, Params)> {
        challenges
            .iter()
            .filter_map(|value| {
                let params = Params::parse(value)?;
                let algorithm = Algorithm::parse(params.get("algorithm"))?;
                let realm = params.get("realm")?;
                let is_ours = self.realm.as_deref().is_none_or(|pinned| pinned == realm);
                let has_auth = params.get("qop").is_none_or(|offered| {
                    offered.split(',').any(|qop| qop.trim().eq_ignore_ascii_case("auth"))
                });
                // A session variant binds the cnonce, which only a qop carries.
                let is_whole = !algorithm.is_session() || params.get("qop").is_some();
                (is_ours && has_auth && is_whole).then_some((algorithm, params))
            })
            .max_by_key(|(algorithm, _)| *algorithm)
    }

    fn credentials(
        &self,
        algorithm: Algorithm,
        params: &Params,
        cnonce: Option<&str>,
        request: &Request,
    ) -> String {
        let realm = params.get("realm").unwrap_or_default();
        let nonce = params.get("nonce").unwrap_or_default();
        let count = format!("{:08x}", self.count);
        let counted = cnonce.map(|cnonce| (count.as_str(), cnonce));
        let method = request.method();
        let uri = request.uri().to_text();
        let proof = Proof { algorithm, nonce, counted, method: method.as_str(), uri: &uri };
        let ha1 = algorithm.hash(&[&self.user, realm, &self.password]);
        let mut out = format!(
            "Digest username={}, realm={}, nonce={}, uri={}, response=\"{}\", algorithm={}",
            quote(&self.user),
            quote(realm),
            quote(nonce),
            quote(&uri),
            proof.response(&ha1).as_str(),
            algorithm.name(),
        );
        if let Some((count, cnonce)) = counted {
            out.push_str(&format!(", qop=auth, nc={count}, cnonce={}", quote(cnonce)));
        }
        if let Some(opaque) = params.get("opaque") {
            out.push_str(&format!(", opaque={}", quote(opaque)));
        }
        out
    }
}

impl fmt::Debug for Responder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Responder")
    }
}
