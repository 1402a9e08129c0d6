//! The edge Procom clients connect to: browsers, widgets and automatic peers, over a WebSocket whose
//! wire is defined in `PROTOCOL.md` beside this package; and the web client people open, which is
//! served from inside the binary.
//!
//! It is an adapter like the others: it carries signalling only. The media of its calls (ICE, DTLS)
//! ends in the media plane.
//!
//! ```text
//! client --TLS, HTTP, WebSocket--> server --FromSocket--> adapter --Command, Event--> switchboard
//!                                    (shell)               (shell)
//!                                                             |
//!            hub: sockets, sessions, passwords, tokens  <-----+   pure from here on
//!              session: counters, replay, calls
//!                leg: one call, frames <--> LegEvent, LegCommand
//! ```
//!
//! * Enters at `adapter::run`, [`Adapter::run`](gateway_adapter::Adapter::run); text is read in
//!   `frame::read` and leaves in `GatewayFrame::render`.
//! * Standards: RFC 6455 (WebSocket), RFC 9112 (HTTP/1.1), RFC 3264 (offer and answer), RFC 9106
//!   (argon2), RFC 2104 (HMAC), the W3C WebRTC recommendation for the shapes of candidates and ICE
//!   servers.

mod accounts;
mod adapter;
mod bucket;
mod config;
#[cfg(test)]
mod corpus;
mod dialled;
mod frame;
mod fresh;
mod hub;
mod ice;
mod ledger;
mod leg;
mod memory;
mod secret;
mod server;
mod session;
#[cfg(test)]
mod testing;
mod tls;
mod token;
mod verifier;
pub mod widget;

pub use accounts::{AccountFault, Accounts, MAX_NAME_BYTES, ProcomAccount, hash_password};
pub use adapter::{Bound, ProcomAdapter};
pub use config::{IceServer, Limits, ProcomConfig};
pub use secret::Secret;
pub use token::{Bearer, Token, TokenFault, Tokens, WeakKey};
