//! Where a packet stands in its stream, and whether it was here before (RFC 3711 §3.3.1, §3.3.2).
//!
//! A packet carries 16 bits of its 48-bit index; the rest is guessed from the highest index so far.
//! A guess changes nothing: only [`Window::accept`], called once the tag has proven the guess
//! right, moves the window.
//!
//! ```text
//!   refused: too old | 127 .. seen or not seen .. 0 | new: moves the window
//!  ------------------+------------------------------+----------------------> index
//!                                           highest ^
//! ```

/// How many indices behind the highest one are remembered; RFC 3711 §3.3.2 asks for at least 64.
const REMEMBERED: u64 = 128;
/// Indices of RTP end here: 32 bits of roll-over counter and 16 of sequence number.
const RTP_INDICES: u64 = 1 << 48;

/// The indices of one stream that were accepted lately.
#[derive(Clone, Debug, Default)]
pub(super) struct Window {
    highest: u64,
    /// Bit n stands for the index `highest - n`; no bit at all for a stream that has not begun.
    seen: u128,
}

impl Window {
    /// The most probable index of a packet with this sequence number (RFC 3711 §3.3.1).
    ///
    /// `None` if it lies before the first or behind the last index a key may be used for.
    pub(super) fn guess(&self, sequence: u16) -> Option<u64> {
        let sequence = u64::from(sequence);
        if self.seen == 0 {
            return Some(sequence);
        }
        let highest_sequence = self.highest & 0xffff;
        let same_turn = self.highest - highest_sequence + sequence;
        if highest_sequence < 0x8000 && sequence > highest_sequence + 0x8000 {
            same_turn.checked_sub(0x1_0000)
        } else if highest_sequence >= 0x8000 && sequence < highest_sequence - 0x8000 {
            Some(same_turn + 0x1_0000).filter(|index| *index < RTP_INDICES)
        } else {
            Some(same_turn)
        }
    }

    /// Whether the last turn of the key is running, after which comes no other.
    pub(super) fn is_ended(&self) -> bool {
        self.highest >> 16 == u64::from(u32::MAX)
    }

    /// Whether `index` is neither seen nor too old to know.
    pub(super) fn is_fresh(&self, index: u64) -> bool {
        match self.highest.checked_sub(index) {
            None => true,
            Some(behind) if behind < REMEMBERED => self.seen & 1 << behind == 0,
            Some(_) => false,
        }
    }

    /// Remembers `index`, which has to be fresh and authentic.
    pub(super) fn accept(&mut self, index: u64) {
        match index.checked_sub(self.highest) {
            Some(ahead) => {
                self.seen = if ahead < REMEMBERED { self.seen << ahead | 1 } else { 1 };
                self.highest = index;
            }
            None => self.seen |= 1 << (self.highest - index).min(REMEMBERED - 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn window_at(index: u64) -> Window {
        let mut window = Window::default();
        window.accept(index);
        window
    }

    #[test]
    fn a_stream_begins_in_turn_zero() {
        assert_eq!(Window::default().guess(65_535), Some(65_535));
        assert!(Window::default().is_fresh(0));
    }

    #[test]
    fn a_wrap_of_the_sequence_number_begins_the_next_turn() {
        assert_eq!(window_at(0x1_ffff).guess(0), Some(0x2_0000));
        assert_eq!(window_at(0x2_0000).guess(0xffff), Some(0x1_ffff));
    }

    #[test]
    fn a_packet_from_before_the_first_turn_has_no_index() {
        assert_eq!(window_at(3).guess(65_530), None);
    }

    #[test]
    fn the_last_turn_of_a_key_has_no_successor() {
        assert_eq!(window_at(RTP_INDICES - 1).guess(0), None);
    }

    #[test]
    fn half_a_turn_ahead_is_the_same_turn_as_rfc_3711_says() {
        assert_eq!(window_at(0x1_0000).guess(0x8000), Some(0x1_8000));
        assert_eq!(window_at(0x1_8000).guess(0), Some(0x1_0000));
    }

    proptest! {
        #[test]
        fn every_index_is_accepted_at_most_once(steps in prop::collection::vec(0u64..400, 1..400)) {
            let mut window = Window::default();
            let mut accepted = BTreeSet::new();
            for index in steps {
                let is_fresh = window.is_fresh(index);
                prop_assert!(!(is_fresh && accepted.contains(&index)), "{index} twice");
                let newest = accepted.last().copied().unwrap_or(0);
                if index + REMEMBERED > newest {
                    prop_assert_eq!(is_fresh, !accepted.contains(&index));
                }
                if is_fresh {
                    window.accept(index);
                    accepted.insert(index);
                }
            }
        }

        #[test]
        fn the_guess_is_right_within_less_than_half_a_turn(
            highest in 0x1_0000u64..1 << 40, ahead in -0x7fffi64..0x8000
        ) {
            let index = highest.checked_add_signed(ahead).unwrap();
            prop_assert_eq!(window_at(highest).guess(index as u16), Some(index));
        }
    }
}
