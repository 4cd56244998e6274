//! Sequences and boundaries against other implementations, for inputs that the reference file does not have.

use upswing_stats::compare::asymptotic::{self, Plan};
use upswing_stats::compare::{Alternative, Level};
use upswing_stats::sequential::boundaries::{
    BetaBinomialMixture, GammaExponentialMixture, GammaPoissonMixture, Mixture, NormalMixture, PolyStitching,
    Tuning,
};
use upswing_stats::sequential::{
    Alpha, AsymptoticSequence, BernoulliSequence, BernsteinSequence, BettingSequence, Bounds, Centring,
    HoeffdingSequence,
};

fn near(actual: &[f64], expected: &[f64]) {
    assert_eq!(actual.len(), expected.len());
    for (a, e) in actual.iter().zip(expected) {
        assert!((a - e).abs() <= 1e-8 * e.abs().max(1.0), "{actual:?} instead of {expected:?}");
    }
}

/// The formulas of arXiv 1810.08240 evaluated with the special functions and the root finder of SciPy 1.17.1.
#[test]
fn boundaries_are_met_for_other_inputs() {
    type Row = (f64, f64, f64, f64, [f64; 7]);
    let rows: [Row; 3] = [
        (
            5.0,
            0.05,
            10.0,
            0.5,
            [
                6.895_069_258_62,
                6.307_245_167_29,
                7.503_406_448_91,
                6.925_205_993_58,
                7.067_906_622,
                7.991_530_313_65,
                12.000_816_626_8,
            ],
        ),
        (
            1000.0,
            0.01,
            500.0,
            1.0,
            [
                113.703_007_311,
                106.832_079_425,
                110.889_121_849,
                108.756_033_202,
                107.987_094_046,
                115.237_588_535,
                139.147_005_544,
            ],
        ),
        (
            0.3,
            0.1,
            1.0,
            0.1,
            [
                1.611_406_046_61,
                1.458_945_233,
                1.622_857_515_42,
                1.555_291_515_58,
                2.037_897_273_11,
                2.605_194_021_12,
                2.385_433_724_13,
            ],
        ),
    ];
    for (v, alpha, optimal, c, expected) in rows {
        let alpha = Alpha::new(alpha).unwrap();
        let tuning = Tuning::new(optimal, alpha).unwrap();
        let actual = [
            NormalMixture::two_sided(tuning).bound(v, alpha),
            NormalMixture::one_sided(tuning).unwrap().bound(v, alpha),
            GammaExponentialMixture::new(tuning, c).unwrap().bound(v, alpha),
            GammaPoissonMixture::new(tuning, c).unwrap().bound(v, alpha),
            BetaBinomialMixture::one_sided(tuning, 0.1 * c, 0.7).unwrap().bound(v, alpha),
            BetaBinomialMixture::two_sided(tuning, 0.1 * c, 0.7).unwrap().bound(v, alpha),
            PolyStitching::new(optimal / 10.0, c).unwrap().bound(v, alpha),
        ];
        near(&actual.map(Result::unwrap), &expected);
    }
    for (successes, trials, alpha, planned, expected) in [
        (3, 1000, 0.01, 1000.0, [3.732_518_834_09e-5, 0.013_481_789_498_1]),
        (995, 1000, 0.05, 50.0, [0.983_475_126_346, 0.999_696_735_151]),
        (50_000, 100_000, 0.1, 1e5, [0.495_629_887_853, 0.504_370_112_147]),
    ] {
        let sequence = BernoulliSequence::new(planned, Alpha::new(alpha).unwrap()).unwrap();
        let interval = sequence.interval(successes, trials).unwrap();
        near(&[interval.low, interval.high], &expected);
    }
    for (alpha, planned, expected) in [(0.01, 100.0, 0.117_563_712_225), (0.3, 7.0, 0.574_531_091_998)] {
        let sequence = AsymptoticSequence::exact(planned, Alpha::new(alpha).unwrap()).unwrap();
        near(&[sequence.tuning()], &[expected]);
    }
}

/// confseq 0.0.11 (predmix.py, betting.py) on 400 skewed outcomes: the cubes of a linear congruential generator's.
#[test]
#[expect(clippy::approx_constant, reason = "a bound on a grid of thousandths that happens to be near 1/pi")]
fn sequences_for_means_are_met_for_other_inputs() {
    let mut state = 12_345_u64;
    let alpha = Alpha::default();
    let mut hedged = BettingSequence::hedged(alpha);
    let mut kelly = BettingSequence::diversified_kelly(alpha, 5).unwrap();
    let mut bernstein = BernsteinSequence::centred(alpha, Centring::Plain);
    let mut hoeffding = HoeffdingSequence::new(alpha);
    for time in 1..=400 {
        state = (state * 1_103_515_245 + 12_345) % (1 << 31);
        let x = (state as f64 / f64::from(1_u32 << 31)).powi(3);
        hedged.observe(x).unwrap();
        kelly.observe(x).unwrap();
        bernstein.observe(x).unwrap();
        hoeffding.observe(x).unwrap();
        let expected = match time {
            100 => [
                [0.157, 0.312],
                [0.156, 0.318],
                [0.161, 0.311],
                [0.159, 0.328],
                [0.132_866_458_484, 0.340_001_931_208],
                [0.131_382_415_224, 0.341_938_180_658],
                [0.078_353_129_117_9, 0.381_346_895_568],
                [0.077_803_776_802_4, 0.381_346_895_568],
            ],
            400 => [
                [0.193, 0.283],
                [0.191, 0.284],
                [0.209, 0.282],
                [0.196, 0.284],
                [0.196_228_438_104, 0.288_940_296_966],
                [0.193_427_328_349, 0.289_801_956_342],
                [0.149_889_355_468, 0.323_612_320_766],
                [0.149_306_127_851, 0.324_113_345_244],
            ],
            _ => continue,
        };
        let actual = [
            hedged.running(),
            hedged.now(),
            kelly.running(),
            kelly.now(),
            bernstein.running(),
            bernstein.now(),
            hoeffding.running(),
            hoeffding.now(),
        ];
        for (bounds, expected) in actual.into_iter().zip(expected) {
            let Bounds { low, high } = bounds;
            near(&[low, high], &expected);
        }
    }
}

/// Both modules have the asymptotic sequence, one around an effect of two arms and one around any estimate.
#[test]
fn the_asymptotic_sequence_is_the_same_in_both_modules() {
    for (alpha, planned) in [(0.05, 500), (0.01, 5000), (0.2, 10)] {
        let (level, plan) = (Level::new(alpha).unwrap(), Plan::new(planned).unwrap());
        let exact = AsymptoticSequence::exact(planned as f64, Alpha::new(alpha).unwrap()).unwrap();
        let approximate =
            AsymptoticSequence::approximate(planned as f64, Alpha::new(alpha).unwrap()).unwrap();
        let best = plan.best_rho_squared(level);
        let usual = plan.rho_squared(level, Alternative::TwoSided).unwrap();
        near(&[exact.tuning(), approximate.tuning()], &[best, usual]);
        for units in [1.0, 50.0, 5000.0, 1e6] {
            let half = exact.half_width(1.0, units).unwrap();
            near(&[half], &[asymptotic::margin(units, best, level).unwrap()]);
            let varying = asymptotic::margin_of_varying(units, 0.2, best, level).unwrap();
            near(&[exact.lyapunov(0.2, units).unwrap()], &[varying]);
        }
    }
}
