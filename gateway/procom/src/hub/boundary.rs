//! What enters the hub and what leaves it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gateway_adapter::Draft;
use gateway_adapter::attempts::Acquaintance;
use gateway_core::leg::{Incoming, LegEvent};
use gateway_core::message::{
    Composing, Confirmation, DeliveryId, Device, Handover, MessageId, Received, Returned,
};
use gateway_core::route::Location;
use gateway_core::{AccountId, LegId};

use crate::accounts::Verified;
use crate::config::{IceServer, Limits};
use crate::secret::Secret;
use crate::session::{SessionId, SocketId};
use crate::token::Tokens;

/// What time it is: on a clock that only goes forward, and on the wall.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    pub(crate) at: Instant,
    /// Milliseconds since 1970.
    pub(crate) unix_ms: u64,
}

impl Now {
    /// Seconds since 1970.
    pub(crate) const fn unix_s(self) -> u64 {
        self.unix_ms / 1000
    }
}

/// How the gateway is set up.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) limits: Limits,
    pub(crate) resume: Duration,
    pub(crate) ice_servers: Vec<IceServer>,
    pub(crate) networks: Vec<String>,
    pub(crate) tokens: Tokens,
    /// What this life of the adapter counts its intakes from, so that what is settled late for an
    /// earlier life is nobody's.
    pub(crate) first_intake: u64,
}

/// What came of a look at a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Right(Verified),
    Wrong,
    /// There were too many to look at.
    Overload,
}

/// How a socket ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closing {
    /// The client closed it on purpose (1000, 1001).
    Clean,
    /// Anything else.
    Dropped,
}

/// Which passwords are looked at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// The account has signed in from there before, or with that device.
    Known,
    /// Anybody.
    Stranger,
}

/// What the hub says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Output {
    Send(SocketId, Arc<str>),
    /// Closes a socket after what was sent; nothing more is expected of it.
    Close(SocketId, u16, &'static str),
    /// Have a password looked at, before those of strangers if the account is known there.
    Verify(SocketId, String, Secret, Turn),
    /// A new leg. If there is no room for it, `handle_busy` is told.
    Incoming(Box<Incoming>),
    Leg(LegId, LegEvent),
    Located(AccountId, Vec<Location>),
    /// A guest of this name is there again.
    Woken(String),
    /// A new message. If there is no room for it, `handle_no_room` is told.
    Received(Box<Received>),
    Sent(DeliveryId, Handover),
    Confirmed(Box<Confirmation>),
    /// A device lacks what came while it was away.
    Returned(Box<Returned>),
    /// A device has a message for good.
    Had(Device, MessageId),
    Composing(Box<Composing>),
    Released(u64),
    /// An account has signed in from a network or with a device that may be remembered.
    Acquainted(Acquaintance),
    /// Ask the gateway what would become of this; `handle_explained` is told, with the client's id.
    Explain(SessionId, String, Box<Draft>),
    Fault(&'static str),
}
