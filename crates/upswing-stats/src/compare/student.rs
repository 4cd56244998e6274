//! Student's t distribution for any real degrees of freedom, small tails and large counts included.
//!
//! The incomplete beta function in its usual form loses digits in both, since it takes differences of logarithms of large
//! gamma functions and of one; here tails are computed as themselves.

use statrs::function::gamma::ln_gamma;

use crate::normal;

/// Above this many degrees of freedom, Wallace's transformation is exact to about 1e-11.
const MANY: f64 = 1e5;
/// `ln sqrt(pi)`.
const LN_ROOT_PI: f64 = 0.572_364_942_924_700_1;

/// The probability of a value above `t`. Relative error below 1e-10 for tails down to 1e-10, and
/// below 1e-8 down to 1e-20.
///
/// Sources: the continued fraction of the incomplete beta function in DLMF 8.17.22, <https://dlmf.nist.gov/8.17>; for many
/// degrees of freedom D. L. Wallace, "Bounds on normal approximations to Student's and the chi-square distributions", Annals
/// of Mathematical Statistics 30 (1959).
pub(super) fn survival(t: f64, degrees: f64) -> f64 {
    if t < 0.0 {
        return 1.0 - survival(-t, degrees);
    }
    if t.is_infinite() {
        return 0.0;
    }
    let odds = t * (t / degrees);
    if degrees > MANY {
        let z = (8.0 * degrees + 1.0) / (8.0 * degrees + 3.0) * (degrees * odds.ln_1p()).sqrt();
        return normal::cdf(-z);
    }
    let a = degrees / 2.0;
    // The logarithms of odds and of 1 + odds; for absurd t the square is infinite, but these are not.
    let ln_odds = 2.0 * t.ln() - degrees.ln();
    let ln_more = if odds.is_finite() { odds.ln_1p() } else { ln_odds };
    // x^a y^(1/2) / B(a, 1/2) with x = 1 / (1 + odds) and y = 1 - x.
    let front = (0.5 * ln_odds - (a + 0.5) * ln_more + ln_gamma_step(a) - LN_ROOT_PI).exp();
    let (x, y) = (1.0 / (1.0 + odds), 1.0 / (1.0 + 1.0 / odds));
    let tail = if x < (a + 1.0) / (a + 2.5) {
        front * fraction(a, 0.5, x, y) / a
    } else {
        1.0 - front * fraction(0.5, a, y, x) / 0.5
    };
    (0.5 * tail).clamp(0.0, 0.5)
}

/// The value above which a share `tail` of the distribution lies, `tail` within (0, 1/2].
pub(super) fn upper_quantile(tail: f64, degrees: f64) -> f64 {
    // Student's tails are heavier than the normal ones: it lies at the normal quantile or above.
    let z = (-normal::quantile(tail)).max(0.0);
    let (mut low, mut high) = (0.0_f64, f64::INFINITY);
    let mut t = expansion(z, degrees).max(1e-3);
    // Newton on the logarithm of the tail, which bends less than the tail itself, kept within the bracket.
    for _ in 0..2_000 {
        let now = survival(t, degrees);
        if now > tail {
            low = t;
        } else {
            high = t;
        }
        let newton = t + now / density(t, degrees) * (now / tail).ln();
        let between = if high.is_finite() { 0.5 * (low + high) } else { 2.0 * low };
        let inside = newton > low && newton < high;
        let next = if inside { newton } else { between };
        let step = (next - t).abs();
        // A step of Newton's leaves an error of the order of its square.
        if step <= 1e-15 * t.max(1e-3) || (inside && step <= 1e-9 * t) || next > 1e150 {
            return next;
        }
        t = next;
    }
    t
}

/// Where the quantile lies, nearly, for the normal one: Cornish and Fisher's expansion by powers of `1 / degrees`
/// (Abramowitz and Stegun, 26.7.5); far from exact for a few degrees, where it is but a place to begin.
fn expansion(z: f64, degrees: f64) -> f64 {
    let (n, s) = (degrees.max(1.0), z * z);
    let first = z * (s + 1.0) / 4.0;
    let second = z * ((5.0 * s + 16.0) * s + 3.0) / 96.0;
    let third = z * (((3.0 * s + 19.0) * s + 17.0) * s - 15.0) / 384.0;
    z + (first + (second + third / n) / n) / n
}

fn density(t: f64, degrees: f64) -> f64 {
    let a = degrees / 2.0;
    (ln_gamma_step(a) - 0.5 * (degrees * std::f64::consts::PI).ln() - (a + 0.5) * (t * (t / degrees)).ln_1p())
        .exp()
}

/// `ln gamma(a + 1/2) - ln gamma(a)`, by Stirling's series where the difference would lose digits.
fn ln_gamma_step(a: f64) -> f64 {
    if a < 25.0 {
        return ln_gamma(a + 0.5) - ln_gamma(a);
    }
    let i = 1.0 / a;
    0.5 * a.ln() - i / 8.0 * (1.0 - i * i / 24.0 * (1.0 - i * i * 3.0 / 10.0 * (1.0 - i * i * 85.0 / 112.0)))
}

/// The continued fraction of the incomplete beta function at `x`, by Lentz's method; `y` is `1 - x`.
fn fraction(a: f64, b: f64, x: f64, y: f64) -> f64 {
    let guard = |v: f64| if v.abs() < 1e-300 { 1e-300 } else { v };
    let mut c = 1.0;
    // 1 - (a + b) x / (a + 1), written so that nothing cancels when x is nearly 1.
    let mut d = 1.0 / guard(((1.0 - b) + (a + b) * y) / (a + 1.0));
    let mut h = d;
    for m in 1..5000 {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / guard(1.0 + even * d);
        c = guard(1.0 + even / c);
        h *= d * c;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / guard(1.0 + odd * d);
        c = guard(1.0 + odd / c);
        h *= d * c;
        if (d * c - 1.0).abs() < 1e-15 {
            break;
        }
    }
    h
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Degrees of freedom, t, the tail: from mpmath with 40 digits.
    const GOLDEN: &[(f64, f64, f64)] = &[
        (0.5, 0.01, 0.4973033718180522),
        (0.5, 1.7, 0.2400675649578848),
        (0.5, 1.8, 0.2338816035867256),
        (0.5, 8.0, 0.1132525464037893),
        (1.0, 0.01, 0.4968170072350917),
        (1.0, 1.7, 0.1692530273303327),
        (1.0, 1.8, 0.1614144672170953),
        (1.0, 8.0, 0.03958342416056554),
        (2.5, 0.01, 0.4963819971789541),
        (2.5, 1.7, 0.1028061085799419),
        (2.5, 1.8, 0.09387547312431519),
        (2.5, 8.0, 0.003828322065521723),
        (5.0, 0.01, 0.496204009021291),
        (5.0, 1.7, 0.07493839342416195),
        (5.0, 1.8, 0.06587879163544609),
        (5.0, 8.0, 0.000246453330286222),
        (30.0, 0.01, 0.4960437462865888),
        (30.0, 1.7, 0.04973893779425844),
        (30.0, 1.8, 0.04096253430437015),
        (30.0, 8.0, 3.132911237850379e-9),
        (49.5, 0.01, 0.4960307411291489),
        (49.5, 1.7, 0.0477035591543323),
        (49.5, 1.8, 0.03897813747212667),
        (49.5, 8.0, 8.909436605609872e-11),
        (51.0, 0.01, 0.4960301515521347),
        (51.0, 1.7, 0.04761136707926936),
        (51.0, 1.8, 0.03888838985283179),
        (51.0, 8.0, 7.264236633736259e-11),
        (998.0, 0.01, 0.4960116429644012),
        (998.0, 1.7, 0.04472125505218363),
        (998.0, 1.8, 0.0360812716675471),
        (998.0, 8.0, 1.716672355349519e-15),
        (1976.5, 0.01, 0.4960111482856426),
        (1976.5, 1.7, 0.0446441289183491),
        (1976.5, 1.8, 0.03600653660604451),
        (1976.5, 8.0, 1.049515683267417e-15),
        (99_000.0, 0.01, 0.4960106537601594),
        (99_000.0, 1.7, 0.04456703333004053),
        (99_000.0, 1.8, 0.03593184069920747),
        (99_000.0, 8.0, 6.287629871431854e-16),
        (101_000.0, 0.01, 0.4960106535606588),
        (101_000.0, 1.7, 0.04456700222962639),
        (101_000.0, 1.8, 0.03593181056875863),
        (101_000.0, 8.0, 6.286303334545606e-16),
        (2e7, 0.01, 0.4960106437352387),
        (2e7, 1.7, 0.04456547053287488),
        (2e7, 1.8, 0.03593032664477094),
        (2e7, 8.0, 6.221288979864784e-16),
        (1e12, 0.01, 0.4960106436853694),
        (1e12, 1.7, 0.04456546275869853),
        (1e12, 1.8, 0.03593031911307644),
        (1e12, 8.0, 6.220960580839737e-16),
    ];

    #[test]
    fn tails_meet_golden_values() {
        for &(degrees, t, tail) in GOLDEN {
            let found = survival(t, degrees);
            let tolerance = if tail > 1e-10 { 1e-10 } else { 1e-8 };
            assert!((found / tail - 1.0).abs() < tolerance, "{degrees} {t}: {found} {tail}");
            assert!((survival(-t, degrees) - (1.0 - tail)).abs() < 1e-10);
        }
        assert!((survival(0.0, 3.0) - 0.5).abs() < 1e-15);
        assert!(survival(f64::INFINITY, 3.0).abs() < 1e-300 && survival(1e200, 30.0).abs() < 1e-300);
    }

    #[test]
    fn quantiles_undo_tails() {
        for degrees in [0.3, 1.0, 2.5, 7.0, 30.0, 998.0, 1976.5, 99_999.0, 1e6, 1e12] {
            for tail in [1e-9, 1e-4, 0.005, 0.025, 0.05, 0.2, 0.45, 0.5] {
                let t = upper_quantile(tail, degrees);
                assert!((survival(t, degrees) / tail - 1.0).abs() < 1e-10, "{degrees} {tail}: {t}");
            }
        }
    }
}
