//! Pseudo-random numbers that a seed determines: SplitMix64.
//!
//! For shuffles and simulations, never for secrets. Source: Steele, Lea, Flood, "Fast splittable pseudorandom number
//! generators", OOPSLA 2014; the golden values below are those of its reference implementation.

/// A generator. Equal seeds give equal sequences.
#[derive(Debug, Clone)]
pub(crate) struct SplitMix64(u64);

impl SplitMix64 {
    /// The generator of this seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The generator of several numbers together, each of which changes the whole sequence.
    pub(crate) fn of(parts: &[u64]) -> Self {
        let mut hasher = blake3::Hasher::new();
        for part in parts {
            hasher.update(&part.to_le_bytes());
        }
        let mut seed = [0; 8];
        seed.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
        Self(u64::from_le_bytes(seed))
    }

    /// 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number in [0, 1), from 53 bits.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A number below `n`, each equally likely (Lemire's multiplication, with rejection); 0 for `n` = 0.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        let n = n as u64;
        if n == 0 {
            return 0;
        }
        let threshold = n.wrapping_neg() % n;
        loop {
            let product = u128::from(self.next()) * u128::from(n);
            if product as u64 >= threshold {
                return (product >> 64) as usize;
            }
        }
    }

    /// 0 to `n` - 1 in an order of which each is equally likely (Fisher and Yates).
    pub(crate) fn shuffled(&mut self, n: usize) -> Vec<u32> {
        let mut order: Vec<u32> = (0..n as u32).collect();
        for last in (1..n).rev() {
            order.swap(last, self.below(last + 1));
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_values_of_the_reference_implementation() {
        let mut random = SplitMix64::new(1_234_567);
        let expected = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!(expected.map(|_| random.next()), expected);
    }

    #[test]
    fn a_shuffle_keeps_everything_and_follows_its_seed() {
        let shuffled = |seed: &[u64]| SplitMix64::of(seed).shuffled(100);
        assert_eq!(shuffled(&[1, 2]), shuffled(&[1, 2]));
        assert_ne!(shuffled(&[1, 2]), shuffled(&[2, 1]));
        let mut sorted = shuffled(&[1, 2]);
        sorted.sort_unstable();
        assert_eq!(sorted, (0..100).collect::<Vec<_>>());
        assert!(SplitMix64::new(1).shuffled(0).is_empty());
    }

    #[test]
    fn draws_stay_in_range_and_reach_all_of_it() {
        let mut random = SplitMix64::new(7);
        let mut seen = [0; 6];
        for _ in 0..6000 {
            seen[random.below(6)] += 1;
            assert!((0.0..1.0).contains(&random.unit()));
        }
        // Binomial with n = 6000, p = 1/6: standard deviation 28.9; five of them on either side.
        assert!(seen.iter().all(|n| (855..=1145).contains(n)), "{seen:?}");
    }
}
