//! What is found by a port's number, for every packet.
//!
//! Numbers of ports are our own and count up, so nobody can choose them to collide, and one
//! multiplication spreads them (Knuth, The Art of Computer Programming, volume 3, §6.4).

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use gateway_core::ids::PortId;

/// A map from ports.
pub(crate) type ByPort<T> = HashMap<PortId, T, BuildHasherDefault<Multiplication>>;

/// 2 to the 64th, divided by the golden ratio; odd.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// Hashes one number.
#[derive(Default)]
pub(crate) struct Multiplication(u64);

impl Hasher for Multiplication {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(8) ^ number).wrapping_mul(SPREAD);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ports_of_many_calls_have_hashes_of_their_own() {
        let mut places: ByPort<u64> = ByPort::default();
        let legs = (1..1_000u64).flat_map(|call| [0, 1].map(|leg| call * 256 + leg));
        for number in legs.clone() {
            assert_eq!(places.insert(PortId(number), number), None);
        }
        for number in legs {
            assert_eq!(places.get(&PortId(number)), Some(&number));
        }
    }
}
