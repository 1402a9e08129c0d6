//! Draws from a seed (SplitMix64). For choosing between equals; never for secrets.

/// A row of draws that its seed decides.
#[derive(Clone, Debug)]
pub struct Draws(u64);

impl Draws {
    /// The row of this seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next draw: any 64 bits.
    pub const fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A draw from 0 to `most`, both included.
    pub fn up_to(&mut self, most: u32) -> u32 {
        let range = u128::from(most) + 1;
        let scaled = (u128::from(self.draw()) * range) >> 64;
        u32::try_from(scaled).expect("below a range of 32 bits")
    }
}
