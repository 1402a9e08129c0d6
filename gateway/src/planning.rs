//! The dialplan in force, with the DNS it asks: what the switchboard, the adapters' resolver and
//! explanations all use.
//!
//! A reload puts a new [`Planning`] in the place of the old ([`Plans`]); whoever holds the old one
//! finishes with it.
#![expect(clippy::disallowed_methods, reason = "a shell: it reads the clock")]

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dialplan::config::DnsConfig;
use dialplan::contacts::Contact;
use dialplan::dns::{Dns, Resolver};
use dialplan::lookup::{Answer, Answers, Failure, Question};
use dialplan::{Asking, Dialplan, People, Progress, Purpose, Reach, Resolution};
use gateway_core::call::Inquiry;
use tokio::sync::watch;

use crate::secrets::random;

/// Where the plan in force is found; it may be another one the next time.
pub type Plans = watch::Receiver<Arc<Planning>>;

/// A dialplan and its DNS.
#[derive(Clone, Debug)]
pub struct Planning {
    /// The rules, accounts and contacts.
    pub dialplan: Arc<Dialplan>,
    /// Whose address is whose.
    pub people: Arc<People>,
    /// Who is asked.
    pub names: Arc<Resolver>,
    /// What the DNS was set up from.
    pub dns: DnsConfig,
}

/// A DNS that asks nobody.
struct Unasked;

impl Dns for Unasked {
    async fn ask(&self, _: &Question) -> Answer {
        Answer::Failed(Failure::NotAsked)
    }
}

/// What is asked of a plan: by whom for whom, and what for.
#[derive(Clone, Debug)]
pub struct Request {
    inquiry: Inquiry,
    record: Option<Contact>,
    purpose: Purpose,
    seed: u64,
    now_s: i64,
}

impl Request {
    /// A request of this moment, with draws of its own.
    #[must_use]
    pub fn new(inquiry: Inquiry, purpose: Purpose) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now_s = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
        let record = inquiry.record.as_ref().map(|own| {
            let addresses = own.addresses.iter().zip(1..=100u8);
            let contact = Contact::new(&own.name);
            addresses.fold(contact, |contact, (text, place)| contact.with(text, place))
        });
        Self { inquiry, record, purpose, seed: seed(), now_s }
    }

    const fn asking<'a>(&'a self, reach: &'a Reach) -> Asking<'a> {
        Asking {
            inquiry: &self.inquiry,
            reach,
            record: self.record.as_ref(),
            purpose: self.purpose,
            // The gateway opens and seals what it relays: no call of it is end to end.
            is_end_to_end: false,
            now_s: self.now_s,
            seed: self.seed,
        }
    }
}

impl Planning {
    /// The resolution, where it needs nothing of the DNS.
    #[must_use]
    pub fn at_once(&self, request: &Request, reach: &Reach) -> Option<Resolution> {
        match self.dialplan.plan(&request.asking(reach), &Answers::new()) {
            Progress::Ask(_) => None,
            Progress::Done(resolution) => Some(*resolution),
        }
    }

    /// The resolution, with the DNS asked for at most the configured time.
    pub async fn resolve(&self, request: &Request, reach: &Reach) -> Resolution {
        let budget = self.budget();
        dialplan::dns::resolve(&self.dialplan, &request.asking(reach), self.names.as_ref(), budget)
            .await
    }

    /// The resolution without asking the DNS anything: what it needs is missing.
    pub async fn resolve_unasked(&self, request: &Request, reach: &Reach) -> Resolution {
        let budget = self.budget();
        dialplan::dns::resolve(&self.dialplan, &request.asking(reach), &Unasked, budget).await
    }

    /// How long all questions of one resolution may take.
    #[must_use]
    pub const fn budget(&self) -> Duration {
        self.dns.budget()
    }
}

/// A seed nobody can foretell.
#[must_use]
pub fn seed() -> u64 {
    u64::from_be_bytes(random())
}
