//! Chance that is the same on every machine: two small published algorithms, written out here so that no crate's
//! new version can change the data of an old seed.

/// Sebastiano Vigna's SplitMix64 (<https://prng.di.unimi.it/splitmix64.c>): one addition and one [`mix`] a number.
pub struct SplitMix64 {
    state: u64,
}

impl SplitMix64 {
    /// Every seed is a good one, 0 included.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    pub fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.state)
    }

    /// A number from 0 to `bound` - 1, by Lemire's multiplication: the high half of a number below 2^64 times `bound`.
    /// Its bias is at most `bound` / 2^64, which no data set is large enough to show.
    pub fn below(&mut self, bound: u64) -> u64 {
        let high = (u128::from(self.next()) * u128::from(bound)) >> u64::BITS;
        u64::try_from(high).expect("a product of two u64 has a high half of 64 bits")
    }

    /// True `percent` times out of a hundred.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of `items`, each as likely as the others. `items` is not empty.
    pub fn pick<'a, T: ?Sized>(&mut self, items: &[&'a T]) -> &'a T {
        items[self.index_below(items.len())]
    }

    /// One of `items`, the first the likeliest and the last the rarest, falling in a straight line: the smaller of two
    /// throws. `items` is not empty.
    pub fn pick_early<'a, T: ?Sized>(&mut self, items: &[&'a T]) -> &'a T {
        let throws = [self.index_below(items.len()), self.index_below(items.len())];
        items[throws[0].min(throws[1])]
    }

    fn index_below(&mut self, len: usize) -> usize {
        self.below(len as u64) as usize
    }
}

/// SplitMix64's finalizer: a bijection of the 64-bit numbers in which each bit of the input moves half of the output.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The numbers from 0 to `len` - 1 in a shuffled order that takes no memory: the place of each is computed.
///
/// A Feistel network permutes the numbers below the next even power of two whatever its round function is; a result
/// that is not below `len` goes through it again ("cycle walking", Black and Rogaway 2002), which permutes the rest.
/// As that power is less than four times `len`, a number takes less than four walks on average.
pub struct Shuffle {
    len: u64,
    half_bits: u32,
    round_keys: [u64; Self::ROUNDS],
}

impl Shuffle {
    /// Four rounds make neighbours unrelated (Luby and Rackoff 1988), which is all that looks matter here.
    const ROUNDS: usize = 4;

    /// `len` is from 1 to 2^62.
    pub fn new(len: u64, random: &mut SplitMix64) -> Self {
        assert!((1..=1 << 62).contains(&len));
        let bits = u64::BITS - (len - 1).leading_zeros();
        Self { len, half_bits: bits.div_ceil(2), round_keys: std::array::from_fn(|_| random.next()) }
    }

    /// The number at `place`, which is less than `len`. No other place has the same.
    pub fn at(&self, place: u64) -> u64 {
        debug_assert!(place < self.len);
        let mut number = self.permute(place);
        while number >= self.len {
            number = self.permute(number);
        }
        number
    }

    fn permute(&self, number: u64) -> u64 {
        let mask = (1 << self.half_bits) - 1;
        let (mut left, mut right) = (number >> self.half_bits, number & mask);
        for key in self.round_keys {
            (left, right) = (right, left ^ (mix(right ^ key) & mask));
        }
        (left << self.half_bits) | right
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_the_published_splitmix64() {
        let mut random = SplitMix64::new(1_234_567);
        let numbers: [u64; 5] = std::array::from_fn(|_| random.next());
        assert_eq!(
            numbers,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423,
                4_593_380_528_125_082_431,
                16_408_922_859_458_223_821,
            ]
        );
    }

    #[test]
    fn a_shuffle_holds_every_number_once() {
        for len in [1, 2, 3, 4, 5, 16, 17, 1000, 65_536, 65_537] {
            let shuffle = Shuffle::new(len, &mut SplitMix64::new(len));
            let mut numbers: Vec<u64> = (0..len).map(|place| shuffle.at(place)).collect();
            numbers.sort_unstable();
            assert!(numbers.into_iter().eq(0..len), "of the numbers below {len}, some are missing");
        }
    }
}
