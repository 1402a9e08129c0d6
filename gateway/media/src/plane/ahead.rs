//! What datagrams that have come are about to need, fetched before they are looked at.
//!
//! ```text
//!  sockets, sources --> ports and the ports joined to them --> touched: near, far, farthest
//! ```

use std::net::SocketAddr;

use gateway_core::ids::PortId;

use super::Plane;
use crate::io::SocketId;
use crate::port::touch::Distance;

/// Datagrams that are prepared for at once; the shell gathers no more.
const MAX_EXPECTED: usize = 32;

impl Plane {
    /// Fetches into the caches what the next RTP packets from these sockets and sources need. It
    /// changes nothing, and need not be called; see `port/touch.rs` for what it is good for.
    pub fn expect_datagrams(&self, arrivals: impl Iterator<Item = (SocketId, SocketAddr)>) {
        let mut expected = [(None, None); MAX_EXPECTED];
        for (place, (socket, source)) in expected.iter_mut().zip(arrivals) {
            let owner = match self.finder.by_socket(socket) {
                Some((id, _)) => Some(id),
                None => self.finder.by_address(source),
            };
            let port = |id: PortId| self.ports.get(&id).map(|entry| &entry.port);
            let peer = owner.and_then(|id| self.joins.peer(id));
            *place = (owner.and_then(port), peer.and_then(port));
        }
        for distance in Distance::ALL {
            for (receiving, sending) in &expected {
                receiving.inspect(|port| port.touch_receiving(distance));
                sending.inspect(|port| port.touch_sending(distance));
            }
        }
    }
}
