//! The words and the machines of the gateway: what an address, a description, a leg, a call is,
//! and how a call lives.
//!
//! Nothing in here reads a clock, a socket, a file or a random number, and nothing knows which
//! network it serves. The shells feed inputs in (`handle_*`) and drain outputs (`poll_*`).
//!
//! ```text
//! adapters --LegEvent-->  call::Call  --LegCommand--> adapters
//! media    --MediaEvent->             --MediaCommand-> media
//! dialplan --Routes---->              --Resolve-----> dialplan
//! ```

pub mod address;
pub mod call;
pub mod cause;
pub mod channel;
pub mod delivery;
pub mod description;
pub mod ids;
pub mod leg;
pub mod media;
pub mod message;
pub mod quality;
pub mod reachable;
pub mod route;
pub mod sdp;
pub mod security;

pub use address::{Address, AddressFault, Scheme};
pub use cause::Cause;
pub use description::{Answer, Description, Offer};
pub use ids::{AccountId, LegId, PortId, TrunkId};
