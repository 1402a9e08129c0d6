//! What must hold of whatever STUN message reaches the media plane.

use std::sync::Arc;
use std::time::Instant;

use gateway_media::config::MediaConfig;
use gateway_media::counters::{Counters, Outcome, Way};
use gateway_media::io::{SocketId, SocketPair, Sockets};
use gateway_media::plane::{Plane, PlaneParts};
use gateway_media::protection::dtls::Identity;

/// No port is ever opened here.
struct NoSockets;

impl Sockets for NoSockets {
    fn open(&mut self, _wants_v6: bool) -> Option<SocketPair> {
        None
    }

    fn close(&mut self, _pair: SocketPair) {}
}

/// A plane without ports, to which every check comes from a stranger.
pub(crate) struct Stranger {
    plane: Plane,
    counters: Arc<Counters>,
}

impl Stranger {
    pub(crate) fn new() -> Self {
        let counters = Arc::new(Counters::default());
        let parts = PlaneParts {
            muxed: Vec::new(),
            sockets: Box::new(NoSockets),
            identity: Identity::generate().expect("the system makes certificates"),
            random: Box::new(|bytes| bytes.fill(0x5a)),
            counters: counters.clone(),
        };
        Self { plane: Plane::new(&MediaConfig::default(), parts), counters }
    }

    /// A stranger's datagram is never answered. Whether the bytes were well-formed STUN, of nobody we
    /// know, is returned.
    pub(crate) fn check(&mut self, bytes: &[u8]) -> bool {
        let source = ([192, 0, 2, 7], 3478).into();
        let before = self.counters.packets(Way::In, Outcome::NotAuthentic);
        #[expect(clippy::disallowed_methods, reason = "an Instant can be had in no other way")]
        let now = Instant::now();
        self.plane.handle_datagram(SocketId(1), source, &mut bytes.to_vec(), now);
        assert!(self.plane.poll_transmit().is_none() && self.plane.poll_event().is_none());
        self.counters.packets(Way::In, Outcome::NotAuthentic) > before
    }
}
