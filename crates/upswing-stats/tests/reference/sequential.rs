//! What `upswing_stats::sequential` computes for the inputs of `experiments.json`.
//!
//! Paths are JSON pointers (RFC 6901), so that a walker can tell which numbers of the file nobody has claimed.

use serde_json::Value;
use upswing_stats::sequential::boundaries::{
    BetaBinomialMixture, GammaExponentialMixture, GammaPoissonMixture, Mixture, NormalMixture, PolyStitching,
    Tuning,
};
use upswing_stats::sequential::{
    Alpha, Arm, AsymptoticSequence, BernoulliKtTest, BernoulliSequence, BernsteinSequence, BettingSequence,
    Bounds, Centring, HoeffdingSequence, InputError, MixtureSprt, hoeffding,
};

/// One number of the file.
#[derive(Debug)]
pub(crate) struct Claim {
    /// Where it stands.
    pub pointer: String,
    /// What is computed here.
    pub value: f64,
    /// How far they may differ.
    pub tolerance: f64,
}

/// Numbers below a pointer that are not compared, and why.
#[derive(Debug)]
pub(crate) struct Exclusion {
    pub prefix: &'static str,
    pub reason: &'static str,
}

/// The file has twelve digits.
const PRECISE: f64 = 1e-8;

/// The keys this module answers for.
pub(crate) const KEYS: [&str; 5] =
    ["msprt", "confseq", "rand_bernoulli_eprocess", "asymptotic_cs", "simulations"];

pub(crate) fn exclusions() -> Vec<Exclusion> {
    let input = "an input";
    vec![
        Exclusion { prefix: "/confseq/x_bernoulli_50", reason: input },
        Exclusion { prefix: "/confseq/x_stars_30(1..5 -> (s-1)~14)", reason: input },
        Exclusion { prefix: "/confseq/times_1based", reason: input },
        Exclusion {
            prefix: "/simulations",
            reason: "random: examples/peeking.rs and examples/canary.rs simulate the same and compare within standard errors",
        },
    ]
}

/// Every number of [`KEYS`] that is not excluded. `file` supplies the streams that the sequences run over.
pub(crate) fn claims(file: &Value) -> Result<Vec<Claim>, InputError> {
    let mut claims = Claims(Vec::new());
    mixture_sprt(&mut claims)?;
    asymptotic(&mut claims)?;
    boundaries(&mut claims)?;
    let confseq = &file["confseq"];
    let rate = numbers(&confseq["x_bernoulli_50"]);
    let stars: Vec<f64> =
        numbers(&confseq["x_stars_30(1..5 -> (s-1)/4)"]).into_iter().map(|s| (s - 1.0) / 4.0).collect();
    kt(&mut claims, &rate)?;
    means(&mut claims, "bern", &rate)?;
    means(&mut claims, "stars", &stars)?;
    rates(&mut claims, &rate)?;
    Ok(claims.0)
}

struct Claims(Vec<Claim>);

impl Claims {
    fn add(&mut self, path: &[&str], value: f64, tolerance: f64) {
        let pointer =
            path.iter().map(|step| format!("/{}", step.replace('~', "~0").replace('/', "~1"))).collect();
        self.0.push(Claim { pointer, value, tolerance });
    }

    fn bounds(&mut self, path: &[&str], bounds: Bounds) {
        self.add(&[path, &["0"]].concat(), bounds.low, PRECISE);
        self.add(&[path, &["1"]].concat(), bounds.high, PRECISE);
    }
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().into_iter().flatten().filter_map(Value::as_f64).collect()
}

fn mixture_sprt(claims: &mut Claims) -> Result<(), InputError> {
    let normal = MixtureSprt::new(0.01)?.log_ratio(1000.0, 0.1, 2.0)?;
    claims.add(&["msprt", "normal n=1000/arm diff=.1 sigma2=1 tau2=.01"], normal.exp(), PRECISE);
    let mut test = MixtureSprt::new(1e-3)?;
    let variances = 0.2 * 0.8 + 0.24 * 0.76;
    let rates = test.log_ratio(1000.0, 0.04, variances)?;
    claims.add(&["msprt", "bernoulli n=1000/arm x=.20 y=.24 tau2=1e-3"], rates.exp(), PRECISE);
    claims.add(&["msprt", "p=min(1,1/Lambda)"], test.look(1000.0, 0.04, variances)?, PRECISE);
    Ok(())
}

fn asymptotic(claims: &mut Claims) -> Result<(), InputError> {
    let exact = AsymptoticSequence::exact(500.0, Alpha::default())?;
    for t in ["50", "100", "500", "1000", "5000"] {
        let half = exact.half_width(1.0, t.parse().unwrap_or(f64::NAN))?;
        claims.add(&["asymptotic_cs", "std_margin(t; rho2_exact(t_opt=500,alpha=.05))", t], half, PRECISE);
    }
    claims.add(&["asymptotic_cs", "rho2_exact(500,.05)"], exact.tuning(), PRECISE);
    let approximate = AsymptoticSequence::approximate(5000.0, Alpha::default())?.tuning();
    claims.add(&["asymptotic_cs", "rho2_growthbook(5000,.05)"], approximate, PRECISE);
    claims.add(&["asymptotic_cs", "rho_growthbook(5000,.05)"], approximate.sqrt(), PRECISE);
    let lyapunov = exact.lyapunov(0.2, 100.0)?;
    claims.add(&["asymptotic_cs", "lyapunov t=100,var_t=0.2,rho2=rho2_exact(500)"], lyapunov, PRECISE);
    Ok(())
}

fn boundaries(claims: &mut Claims) -> Result<(), InputError> {
    let (five, half) = (Alpha::default(), Alpha::new(0.025)?);
    let normal = Tuning::new(100.0, five)?;
    let skewed = Tuning::new(10.0, half)?;
    for (name, value) in [
        (
            "normal_mixture_bound(v=100,.05,v_opt=100,two-sided)",
            NormalMixture::two_sided(normal).bound(100.0, five)?,
        ),
        (
            "normal_mixture_bound(v=100,.05,v_opt=100,one-sided)",
            NormalMixture::one_sided(normal)?.bound(100.0, five)?,
        ),
        (
            "gamma_exponential_mixture_bound(v=20,.025,v_opt=10,c=1,alpha_opt=.025)",
            GammaExponentialMixture::new(skewed, 1.0)?.bound(20.0, half)?,
        ),
        (
            "beta_binomial_mixture_bound(v=20,.025,v_opt=10,g=.2,h=.8,alpha_opt=.025,one)",
            BetaBinomialMixture::one_sided(skewed, 0.2, 0.8)?.bound(20.0, half)?,
        ),
        ("poly_stitching_bound(v=100,.05,v_min=10,c=0)", PolyStitching::new(10.0, 0.0)?.bound(100.0, five)?),
        (
            "gamma_poisson_mixture_bound(v=20,.025,v_opt=10,c=1)",
            GammaPoissonMixture::new(skewed, 1.0)?.bound(20.0, half)?,
        ),
    ] {
        claims.add(&["confseq", "boundaries", name], value, PRECISE);
    }
    Ok(())
}

fn kt(claims: &mut Claims, rate: &[f64]) -> Result<(), InputError> {
    let mut test = BernoulliKtTest::new(Alpha::default());
    for (place, &y) in rate.iter().enumerate() {
        let arm = if place % 2 == 0 { Arm::Control } else { Arm::Treatment };
        test.observe(arm, y, 0.5)?;
        if let Some(time) = looked_at(place) {
            claims.add(&["rand_bernoulli_eprocess", "log_e", time], test.log_e(), PRECISE);
        }
    }
    Ok(())
}

/// The name of the time after so many earlier outcomes, if the file has it.
fn looked_at(earlier: usize) -> Option<&'static str> {
    ["5", "10", "20", "30", "50"].into_iter().find(|time| time.parse() == Ok(earlier + 1))
}

fn means(claims: &mut Claims, stream: &str, outcomes: &[f64]) -> Result<(), InputError> {
    let alpha = Alpha::default();
    let mut hedged = BettingSequence::hedged(alpha);
    let mut kelly = BettingSequence::diversified_kelly(alpha, 10)?;
    let mut bernstein = BernsteinSequence::centred(alpha, Centring::Plain);
    let mut hoeffding = HoeffdingSequence::new(alpha);
    let mut sum = 0.0;
    for (place, &x) in outcomes.iter().enumerate() {
        hedged.observe(x)?;
        kelly.observe(x)?;
        bernstein.observe(x)?;
        hoeffding.observe(x)?;
        sum += x;
        let Some(time) = looked_at(place) else { continue };
        let mixture = hoeffding::mixture_interval(sum, place as u64 + 1, 100.0, alpha)?;
        for (name, bounds) in [
            ("hedged_cs(breaks=1000,running_intersection=True)", hedged.running()),
            ("hedged_cs_no_RI", hedged.now()),
            ("predmix_empbern_twosided(trunc .5,no RI)", bernstein.now()),
            ("predmix_empbern_twosided(RI)", bernstein.running()),
            ("predmix_hoeffding(no RI)", hoeffding.now()),
            ("conjmix_hoeffding_twosided(t_opt=100)", mixture),
            ("dKelly_cs(D=10)", kelly.running()),
        ] {
            claims.bounds(&["confseq", stream, name, time], bounds);
        }
    }
    claims.add(&["confseq", stream, "mean"], sum / outcomes.len() as f64, PRECISE);
    Ok(())
}

fn rates(claims: &mut Claims, rate: &[f64]) -> Result<(), InputError> {
    let alpha = Alpha::default();
    let exact = BernoulliSequence::new(100.0, alpha)?;
    // On the grid the file's level is halved for the tuning, and not for the test.
    let halved = exact.tuned_for(Alpha::new(alpha.value() / 2.0)?);
    let mut successes = 0;
    for (place, &x) in rate.iter().enumerate() {
        successes += x as u64;
        let Some(time) = looked_at(place) else { continue };
        let trials = place as u64 + 1;
        let bounds = Bounds::on_grid(1000, |step| {
            halved.log_e(step as f64 / 1000.0, successes, trials).is_ok_and(|e| e <= alpha.log_threshold())
        });
        claims.bounds(&["confseq", "bern", "conjmix_bernoulli_cs(t_opt=100,breaks=1000)", time], bounds);
    }
    let interval = exact.interval(successes, rate.len() as u64)?;
    let name = "bernoulli_confidence_interval(S,n=50,alpha=.05,t_opt=100)";
    claims.bounds(&["confseq", "bern", name], interval);
    Ok(())
}
