//! The SIP adapter (RFC 3261): calls, registrations and digits between SIP phones, PBXs,
//! providers and the gateway.
//!
//! ```text
//!   sockets <-> stack::transport <-> stack::Stack <-> leg, registrar, registration <-> Edge
//!               (shell, tokio)       (transactions)   (pure)                          (channels)
//! ```

pub mod stack;

#[cfg(test)]
mod testing;
