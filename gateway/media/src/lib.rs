//! The media plane: ports, protections, relays.
//!
//! ```text
//!   calls --MediaCommand--> shell: worker threads --> Plane (pure) --> Port = Path x Protection
//!         <--MediaEvent----        sockets, epoll                          |
//!                                                                    Relay: joined ports
//! ```
//!
//! [`plane::Plane`] is the pure whole of one shard; [`shell`] gives it sockets and a clock. No packet leaves this package
//! but by a socket, and no key but in an `a=crypto` line (RFC 4568).

mod channel;
pub mod classify;
pub mod config;
pub mod counters;
pub mod dtmf;
pub mod io;
mod path;
pub mod plane;
mod port;
pub mod protection;
pub mod quality;
mod relay;
pub mod rewriter;
pub mod rtcp;
pub mod rtp;
pub mod shell;
pub mod srtp;
