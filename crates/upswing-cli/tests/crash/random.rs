//! Choices that a seed repeats: SplitMix64.

#[derive(Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The seed of this run: a fresh one unless `UPSWING_CRASH_SEED` names one. It is printed.
    pub(crate) fn seeded(test: &str) -> Self {
        let given =
            std::env::var_os("UPSWING_CRASH_SEED").map(|text| text.to_str().unwrap().parse().unwrap());
        let seed = given.unwrap_or_else(|| u64::from(uuid::Uuid::new_v4().as_fields().0));
        println!("{test}: UPSWING_CRASH_SEED={seed}");
        Self::new(seed)
    }

    /// A generator of its own for somebody else.
    pub(crate) fn fork(&mut self) -> Self {
        Self(self.next())
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.next() >> 16) as usize % n
    }

    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub(crate) fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    /// 1 to 2^`bits`, small ones as often as large ones.
    pub(crate) fn magnitude(&mut self, bits: u32) -> u64 {
        let top = 1_u64 << self.below(bits as usize + 1);
        1 + self.next() % top
    }
}
