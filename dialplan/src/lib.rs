//! From what a person dialled to ranked, protected routes.
//!
//! Pure but for [`dns`]: reading an address, contacts, rules, ENUM (RFC 6116), finding servers
//! (RFC 3263, RFC 2782, RFC 6120, XEP-0368) and ranking take their time, randomness and answers of
//! the DNS as arguments. A plan is made again from the start whenever new answers arrive, so a call
//! and its explanation come out of the very same code.
//!
//! ```text
//! text --reading--> addresses --contacts--> addresses --ENUM--> addresses
//!      --rules--> trunks --RFC 3263--> targets --rank--> groups of routes, and the tree of steps
//!
//! Dialplan::plan(.., answers) -> Ask(questions) --dns::Resolver--> answers -> plan again
//!                             -> Done(resolution)
//! ```

pub mod config;
pub mod contacts;
pub mod dns;
pub mod explain;
pub mod lookup;
pub mod plan;
pub mod rank;
pub mod reach;
pub mod reading;
pub mod rules;

pub use config::DialplanConfig;
pub use contacts::{Contact, Contacts};
pub use explain::{Node, Step};
pub use lookup::sip::{SipQuery, Target, Transport};
pub use plan::{Asking, Dialplan, People, Progress, Purpose, Resolution, Setup, SetupFault};
pub use rank::RankedRoute;
pub use reach::Reach;
pub use reading::{Dialled, Home, Reading, Refusal};
pub use rules::{InboundRule, RuleFault, RuleText, Rules};
