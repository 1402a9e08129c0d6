//! Fetches what a packet is about to need.
//!
//! Between two packets of a call there are 20 ms of other calls, so that nearly all a packet needs has
//! left the caches. Where the packet's way asks for one piece of memory after the other, each is waited
//! for; read for all packets of a round before the first is handled, they come at once. So there are
//! rounds of touching, since a place has to be known before it can be touched:
//!
//! ```text
//!   Near: the port itself --> Far: keys, agreed codecs --> Farthest: streams under the keys
//! ```
//!
//! Touching changes nothing, and none of it has to happen.

use std::hint::black_box;

use super::{Path, Port};
use crate::protection::guard::Guard;

/// How many steps away from the port a piece of memory is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Distance {
    /// In the port.
    Near,
    /// Where the port points to.
    Far,
    /// Where that points to.
    Farthest,
}

impl Distance {
    /// In the order of touching.
    pub(crate) const ALL: [Self; 3] = [Self::Near, Self::Far, Self::Farthest];
}

impl Port {
    /// What [`Port::handle_rtp`] reads.
    #[inline]
    pub(crate) fn touch_receiving(&self, distance: Distance) {
        match (distance, &self.guard) {
            (Distance::Near, _) => {
                self.touch();
                black_box((self.remote.is_some(), self.events.len()));
                self.watch.touch();
            }
            (Distance::Far, guard) => {
                if let Guard::Srtp { opener, .. } = guard {
                    opener.touch();
                }
                self.flow.touch_lanes();
            }
            (Distance::Farthest, Guard::Srtp { opener, .. }) => opener.touch_streams(),
            (Distance::Farthest, Guard::Clear | Guard::Closed) => {}
        }
    }

    /// What [`Port::send_rtp`] reads.
    #[inline]
    pub(crate) fn touch_sending(&self, distance: Distance) {
        match (distance, &self.guard) {
            (Distance::Near, _) => {
                self.touch();
                self.flow.touch_sending();
            }
            (Distance::Far, guard) => {
                if let Guard::Srtp { sealer, .. } = guard {
                    sealer.touch();
                }
                self.flow.touch_lanes();
            }
            (Distance::Farthest, Guard::Srtp { sealer, .. }) => sealer.touch_streams(),
            (Distance::Farthest, Guard::Clear | Guard::Closed) => {}
        }
    }

    #[inline]
    fn touch(&self) {
        black_box((self.direction, self.guard.is_open()));
        self.flow.touch();
        if let Path::Static(path) = &self.path {
            black_box(path.rtp_destination());
        }
    }
}
