//! Drawing by a hash: the same salt, key and probabilities always draw the same.

/// The index drawn from `probabilities` by 53 bits of BLAKE3 of the salt and the decision's key.
///
/// The salt is hashed first as a key of its own, so that no salt and key can be confused with another pair. Indices of
/// probability zero are never drawn, unless all are zero: then, as for an empty list, the answer is 0. O(versions).
///
/// ```
/// let p = [0.2, 0.8];
/// assert_eq!(upswing_learn::draw("agent", &[7; 16], &p), upswing_learn::draw("agent", &[7; 16], &p));
/// ```
pub fn draw(salt: &str, key: &[u8; 16], probabilities: &[f64]) -> usize {
    let hash = blake3::keyed_hash(blake3::hash(salt.as_bytes()).as_bytes(), key);
    let mut first = [0; 8];
    first.copy_from_slice(&hash.as_bytes()[..8]);
    // 53 bits are what a double holds exactly: the draw lies on an even grid of [0, 1).
    let uniform = (u64::from_le_bytes(first) >> 11) as f64 / (1_u64 << 53) as f64;
    let point = uniform * probabilities.iter().sum::<f64>();
    let (mut below, mut last) = (0.0, 0);
    for (index, &p) in probabilities.iter().enumerate() {
        if p > 0.0 {
            below += p;
            last = index;
            if point < below {
                return index;
            }
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frequencies_follow_the_probabilities() {
        let p = [0.1, 0.0, 0.6, 0.3];
        let mut counts = [0_u32; 4];
        let n = 40_000_u32;
        for i in 0..n {
            let mut key = [0; 16];
            key[..4].copy_from_slice(&i.to_le_bytes());
            counts[draw("salt", &key, &p)] += 1;
        }
        for (count, p) in counts.into_iter().zip(p) {
            // Five standard deviations of a binomial share.
            let tolerance = 5.0 * (p * (1.0 - p) / f64::from(n)).sqrt();
            assert!((f64::from(count) / f64::from(n) - p).abs() <= tolerance, "{counts:?}");
        }
    }

    #[test]
    fn salt_and_key_both_matter_and_the_draw_is_stable() {
        let p = [1.0 / 64.0; 64];
        let drawn: Vec<usize> = (0..4).map(|i| draw("a", &[i; 16], &p)).collect();
        assert!((0..4).any(|i| draw("b", &[i; 16], &p) != drawn[usize::from(i)]));
        assert!(drawn.iter().any(|&d| d != drawn[0]));
        assert_eq!(draw("a", &[0; 16], &[]), 0);
        assert_eq!(draw("a", &[0; 16], &[0.0, 1.0]), 1);
    }
}
