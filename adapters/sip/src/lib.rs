//! The SIP adapter (RFC 3261): calls, registrations and digits between SIP phones, PBXs,
//! providers and the gateway.
//!
//! ```text
//!   sockets <-> stack::transport <-> stack::Stack <-> Agent: leg, registrar,  <-> Edge
//!               (shell, tokio)       (transactions)   registration (pure)         (channels)
//! ```
//!
//! Messages enter at `adapter.rs` -> `Agent::handle_message` -> `Stack::handle_message` and leave
//! by `Stack::poll_transmit`. Everything but `adapter.rs` and `stack/transport` is pure.

pub mod adapter;
pub mod agent;
pub mod cause;
pub mod config;
mod leg;
pub mod line;
pub mod message;
pub mod offer;
mod reach;
mod registrar;
mod registration;
pub mod stack;

pub use adapter::SipAdapter;
pub use config::{
    Config, DIRECT_TRUNK, LOCAL_TRUNK, Listener, Password, Shield, SipAccount, TrunkConfig,
};

#[cfg(test)]
mod testing;
