//! Which ports are joined: what comes in by one goes out by the other.
//!
//! ```text
//!   join(a, b):  a <---> b        join(a, a):  a <-+  the echo
//!                                                +-+
//! ```

use gateway_core::ids::PortId;

use crate::plane::by_port::ByPort;

/// Pairs of ports. A port is in at most one.
#[derive(Debug, Default)]
pub(crate) struct Joins {
    peer_of_port: ByPort<PortId>,
}

impl Joins {
    /// Joins two ports, or one with itself; whoever was joined to either is left, and returned.
    pub(crate) fn join(&mut self, a: PortId, b: PortId) -> Vec<PortId> {
        if self.peer(a) == Some(b) {
            return Vec::new();
        }
        let left = [self.leave(a), self.leave(b)].into_iter().flatten();
        let left = left.filter(|port| *port != a && *port != b).collect();
        self.peer_of_port.insert(a, b);
        self.peer_of_port.insert(b, a);
        left
    }

    /// Undoes the join of a port and returns who is left by it.
    pub(crate) fn leave(&mut self, port: PortId) -> Option<PortId> {
        let peer = self.peer_of_port.remove(&port)?;
        self.peer_of_port.remove(&peer);
        Some(peer)
    }

    /// Where packets of this port go.
    pub(crate) fn peer(&self, port: PortId) -> Option<PortId> {
        self.peer_of_port.get(&port).copied()
    }

    /// Whether nobody is joined.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.peer_of_port.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_join_leaves_the_first() {
        let [a, b, c] = [1, 2, 3].map(PortId);
        let mut joins = Joins::default();
        assert!(joins.join(a, b).is_empty());
        assert_eq!(joins.join(a, c), [b]);
        assert_eq!((joins.peer(a), joins.peer(b), joins.peer(c)), (Some(c), None, Some(a)));
        assert_eq!(joins.leave(c), Some(a));
        assert!(joins.is_empty());
    }

    #[test]
    fn an_echo_is_left_by_itself() {
        let a = PortId(1);
        let mut joins = Joins::default();
        assert!(joins.join(a, a).is_empty());
        assert_eq!(joins.peer(a), Some(a));
        assert_eq!(joins.leave(a), Some(a));
        assert!(joins.is_empty());
    }
}
