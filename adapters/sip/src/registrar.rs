//! The registrar: where the phones of accounts are (RFC 3261 §10.3).
//!
//! ```text
//!   REGISTER (authenticated) --> Registrar --> 200 with all contacts, 423, 400, 403
//!                                    \--> which account's locations changed
//! ```
//!
//! Not supported: GRUU (RFC 5627), Path (RFC 3327); of Outbound (RFC 5626) a device's instance id
//! replaces its earlier contact.

mod flows;
pub(crate) mod place;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use gateway_core::route::Location;
use gateway_core::{AccountId, TrunkId};

use flows::Flows;

use crate::config::{LOCAL_TRUNK, Shields};
use crate::stack::flow::{Flow, LinkId, Target};
use crate::stack::policy::Refusal;
use crate::stack::wire::{Contact, NameAddr, Request, Response, Uri};

/// The shortest registration granted, in seconds: NAT bindings need no less.
const MIN_EXPIRES: u32 = 60;
/// Contacts of one account; one more takes the place of the one that ends first.
const MAX_CONTACTS: usize = 10;

/// One phone that can be rung.
#[derive(Clone, Debug)]
pub(crate) struct Binding {
    /// What its location is called; nobody else can guess it.
    key: String,
    /// Where it says it is: the Request-URI of calls to it.
    uri: Uri,
    /// The parameters it wants to see again.
    instance: Option<String>,
    flow: Flow,
    call_id: String,
    number: u32,
    expires_at: Instant,
    preference: u16,
}

impl Binding {
    /// The Request-URI to ring it by.
    pub(crate) fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Where it was seen: a phone behind a NAT is reached there only.
    pub(crate) fn target(&self) -> Target {
        self.flow.into()
    }
}

/// One account's phones.
#[derive(Debug)]
struct Line {
    id: AccountId,
    shields: Shields,
    bindings: Vec<Binding>,
}

/// All accounts' phones.
#[derive(Debug)]
pub(crate) struct Registrar {
    max_expires: u32,
    line_of_user: BTreeMap<String, Line>,
    flows: Flows,
}

/// What one contact of a request asks for.
struct Wish {
    address: NameAddr,
    seconds: u32,
}

impl Registrar {
    /// A registrar without accounts.
    pub(crate) fn new(max_expires: u32) -> Self {
        let max_expires = max_expires.max(MIN_EXPIRES);
        Self { max_expires, line_of_user: BTreeMap::new(), flows: Flows::default() }
    }

    /// Adds an account by its SIP user.
    pub(crate) fn add(&mut self, user: &str, id: AccountId, shields: Shields) {
        let line = Line { id, shields, bindings: Vec::new() };
        self.line_of_user.insert(user.to_owned(), line);
    }

    /// Whether a phone is registered from exactly there.
    pub(crate) fn has_phone_at(&self, flow: Flow) -> bool {
        self.flows.has(flow)
    }

    /// Whether a phone of this user is registered from exactly there.
    pub(crate) fn is_at(&self, user: &str, flow: Flow) -> bool {
        self.line_of_user.get(user).is_some_and(|line| {
            let mut bindings = line.bindings.iter();
            bindings.any(|binding| flows::place(binding.flow) == flows::place(flow))
        })
    }

    /// The protections of a user's phone.
    pub(crate) fn shields(&self, user: &str) -> Option<&Shields> {
        self.line_of_user.get(user).map(|line| &line.shields)
    }

    /// The account of a user.
    pub(crate) fn account(&self, user: &str) -> Option<&AccountId> {
        self.line_of_user.get(user).map(|line| &line.id)
    }

    /// Finds a phone by the contact of its location, with its user.
    pub(crate) fn find(&self, key: &str) -> Option<(&str, &Binding)> {
        self.line_of_user.iter().find_map(|(user, line)| {
            let binding = line.bindings.iter().find(|binding| binding.key == key)?;
            Some((user.as_str(), binding))
        })
    }

    /// The user of an account.
    pub(crate) fn address(&self, account: &AccountId) -> Option<&str> {
        let mut lines = self.line_of_user.iter();
        lines.find(|(_, line)| line.id == *account).map(|(user, _)| user.as_str())
    }

    /// The contacts of an account's phones, the preferred one first.
    pub(crate) fn contacts(&self, account: &AccountId) -> Vec<String> {
        let line = self.line_of_user.values().find(|line| line.id == *account);
        let mut bindings: Vec<_> =
            line.map(|line| line.bindings.iter().collect()).unwrap_or_default();
        bindings.sort_by_key(|binding: &&Binding| std::cmp::Reverse(binding.preference));
        bindings.into_iter().map(|binding| binding.key.clone()).collect()
    }

    /// Handles a REGISTER that `user` has proven to be its own. `key` names a new binding by its
    /// contact.
    pub(crate) fn handle_register(
        &mut self,
        user: &str,
        request: &Request,
        flow: Flow,
        mut key: impl FnMut(&Uri) -> String,
        now: Instant,
    ) -> Response {
        if let Some(line) = self.line_of_user.get(user) {
            self.flows.remove(&line.bindings);
        }
        let registered = self.register(user, request, flow, &mut key, now);
        if let Some(line) = self.line_of_user.get(user) {
            self.flows.add(&line.bindings);
        }
        match registered {
            Ok(()) => self.accept(user, request, now),
            Err(refusal) => refusal.response(request),
        }
    }

    fn register(
        &mut self,
        user: &str,
        request: &Request,
        flow: Flow,
        key: &mut dyn FnMut(&Uri) -> String,
        now: Instant,
    ) -> Result<(), Refusal> {
        let fields = request.fields();
        // RFC 3261 §10.3 step 4: nobody registers for another.
        if fields.to().and_then(|to| to.uri.user()).as_deref() != Some(user) {
            return Err(Refusal::new(403));
        }
        let max = self.max_expires;
        let line = self.line_of_user.get_mut(user).ok_or_else(|| Refusal::new(403))?;
        line.bindings.retain(|binding| binding.expires_at > now);
        let contacts = fields.contacts().ok_or_else(|| Refusal::new(400))?;
        let call_id = fields.call_id().ok_or_else(|| Refusal::new(400))?;
        let (number, _) = fields.cseq().ok_or_else(|| Refusal::new(400))?;
        // RFC 3261 §10.3 step 7: an older request must not undo a newer one.
        let is_old = |binding: &Binding| binding.call_id == call_id && number <= binding.number;
        if contacts.contains(&Contact::All) {
            if contacts.len() != 1 || fields.expires() != Some(0) {
                return Err(Refusal::new(400));
            }
            if line.bindings.iter().any(is_old) {
                return Err(Refusal::new(500));
            }
            line.bindings.clear();
            return Ok(());
        }
        let wishes = wishes(contacts, fields.expires(), max)?;
        let is_stale = |wish: &Wish| {
            line.bindings.iter().any(|binding| is_same(binding, &wish.address) && is_old(binding))
        };
        if wishes.iter().any(is_stale) {
            return Err(Refusal::new(500));
        }
        for wish in wishes {
            line.bind(wish, flow, (&call_id, number), key, now);
        }
        Ok(())
    }

    fn accept(&self, user: &str, request: &Request, now: Instant) -> Response {
        let mut ok = Response::to_request(request, 200);
        let bindings = self.line_of_user.get(user).map(|line| line.bindings.as_slice());
        for binding in bindings.unwrap_or_default() {
            let left = binding.expires_at.saturating_duration_since(now).as_secs();
            let mut contact = NameAddr::new(binding.uri.clone());
            contact = contact.with_param("expires", &left.to_string());
            if let Some(instance) = &binding.instance {
                contact = contact.with_param("+sip.instance", instance);
            }
            ok.push("Contact", &contact.to_text());
        }
        ok
    }

    /// Where a user's phones can be rung now.
    pub(crate) fn locations(&self, user: &str) -> Option<(AccountId, Vec<Location>)> {
        let line = self.line_of_user.get(user)?;
        let locations = line
            .bindings
            .iter()
            .map(|binding| Location {
                trunk: TrunkId::from(LOCAL_TRUNK),
                contact: binding.key.clone(),
                profiles: line
                    .shields
                    .to_ring(binding.flow.transport, Some(binding.flow.remote.ip())),
                preference: binding.preference,
            })
            .collect();
        Some((line.id.clone(), locations))
    }

    /// Forgets phones whose time is up; the users whose locations changed.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Vec<String> {
        self.forget(|binding| binding.expires_at <= now)
    }

    /// Forgets phones whose connection is gone; the users whose locations changed.
    pub(crate) fn handle_closed(&mut self, link: LinkId) -> Vec<String> {
        self.forget(|binding| binding.flow.link == link && binding.flow.transport.is_reliable())
    }

    fn forget(&mut self, is_gone: impl Fn(&Binding) -> bool) -> Vec<String> {
        let mut changed = Vec::new();
        for (user, line) in &mut self.line_of_user {
            if !line.bindings.iter().any(&is_gone) {
                continue;
            }
            let (gone, kept): (Vec<_>, Vec<_>) = line.bindings.drain(..).partition(&is_gone);
            line.bindings = kept;
            self.flows.remove(&gone);
            changed.push(user.clone());
        }
        changed
    }

    /// When [`Self::handle_timeout`] is due.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let lines = self.line_of_user.values();
        lines.flat_map(|line| &line.bindings).map(|binding| binding.expires_at).min()
    }
}

impl Line {
    fn bind(
        &mut self,
        wish: Wish,
        flow: Flow,
        (call_id, number): (&str, u32),
        key: &mut dyn FnMut(&Uri) -> String,
        now: Instant,
    ) {
        if let Some(at) = self.bindings.iter().position(|known| is_same(known, &wish.address)) {
            self.bindings.remove(at);
        }
        if wish.seconds == 0 {
            return;
        }
        if self.bindings.len() >= MAX_CONTACTS {
            let oldest = (0..self.bindings.len()).min_by_key(|at| self.bindings[*at].expires_at);
            if let Some(oldest) = oldest {
                self.bindings.remove(oldest);
            }
        }
        self.bindings.push(Binding {
            key: key(&wish.address.uri),
            instance: wish.address.param("+sip.instance").map(str::to_owned),
            preference: preference(wish.address.param("q")),
            uri: wish.address.uri,
            flow,
            call_id: call_id.to_owned(),
            number,
            expires_at: now + Duration::from_secs(wish.seconds.into()),
        });
    }
}

/// Whether a contact is that binding's: the same device, or the same address (RFC 3261 §10.3).
fn is_same(binding: &Binding, address: &NameAddr) -> bool {
    let instance = address.param("+sip.instance");
    let is_device = instance.is_some() && instance == binding.instance.as_deref();
    is_device || binding.uri == address.uri
}

fn wishes(contacts: Vec<Contact>, expires: Option<u32>, max: u32) -> Result<Vec<Wish>, Refusal> {
    if contacts.len() > MAX_CONTACTS {
        return Err(Refusal::new(403));
    }
    let mut wishes = Vec::new();
    for contact in contacts {
        let Contact::One(address) = contact else { return Err(Refusal::new(400)) };
        // A value that is no number counts as an hour (RFC 3261 §20.10).
        let own = address.param("expires").map(|value| value.parse().unwrap_or(3_600));
        let seconds = own.or(expires).unwrap_or(max).min(max);
        if (1..MIN_EXPIRES).contains(&seconds) {
            return Err(Refusal::new(423).with("Min-Expires", &MIN_EXPIRES.to_string()));
        }
        wishes.push(Wish { address, seconds });
    }
    Ok(wishes)
}

/// `q` from 0 to 1, in thousandths; 1 where it is not told (RFC 3261 §20.10).
fn preference(q: Option<&str>) -> u16 {
    let Some(q) = q.and_then(|q| q.parse::<f32>().ok()).filter(|q| (0.0..=1.0).contains(q)) else {
        return 1_000;
    };
    // In range after the filter, and whole after rounding.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1000")]
    let thousandths = (q * 1_000.0).round() as u16;
    thousandths
}

#[cfg(test)]
mod tests;
