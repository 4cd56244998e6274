//! Sequences for one mean, boundaries, the mixture SPRT and the e-process of two rates.

use upswing_stats::sequential::boundaries::{
    BetaBinomialMixture, GammaExponentialMixture, GammaPoissonMixture, Mixture, NormalMixture, PolyStitching,
    Tuning,
};
use upswing_stats::sequential::{
    Alpha, Arm, BernoulliKtTest, BernoulliSequence, BernsteinSequence, BettingSequence, Bounds, Centring,
    HoeffdingSequence, InputError, MixtureSprt, hoeffding,
};

use super::claims::Claims;

/// Checks what this module answers for.
pub(crate) fn claims(claims: &mut Claims) {
    let at = "confseq";
    let rate = claims.inputs(&[at, "x_bernoulli_50"]);
    let stars = claims.inputs(&[at, "x_stars_30(1..5 -> (s-1)/4)"]);
    let stars: Vec<f64> = stars.into_iter().map(|s| (s - 1.0) / 4.0).collect();
    let times: Vec<usize> = claims.inputs(&[at, "times_1based"]).into_iter().map(|t| t as usize).collect();
    mixture_sprt(claims).unwrap();
    boundaries(claims).unwrap();
    kt(claims, &rate, &times).unwrap();
    means(claims, "bern", &rate, &times).unwrap();
    means(claims, "stars", &stars, &times).unwrap();
    rates(claims, &rate, &times).unwrap();
}

fn both(claims: &mut Claims, path: &[&str], bounds: Bounds) {
    claims.reproduces(&[path, &["0"]].concat(), bounds.low);
    claims.reproduces(&[path, &["1"]].concat(), bounds.high);
}

fn mixture_sprt(claims: &mut Claims) -> Result<(), InputError> {
    let normal = MixtureSprt::new(0.01)?.log_ratio(1000.0, 0.1, 2.0)?;
    claims.reproduces(&["msprt", "normal n=1000/arm diff=.1 sigma2=1 tau2=.01"], normal.exp());
    let mut test = MixtureSprt::new(1e-3)?;
    let variances = 0.2 * 0.8 + 0.24 * 0.76;
    let rates = test.log_ratio(1000.0, 0.04, variances)?;
    claims.reproduces(&["msprt", "bernoulli n=1000/arm x=.20 y=.24 tau2=1e-3"], rates.exp());
    claims.reproduces(&["msprt", "p=min(1,1/Lambda)"], test.look(1000.0, 0.04, variances)?);
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
        claims.reproduces(&["confseq", "boundaries", name], value);
    }
    Ok(())
}

fn kt(claims: &mut Claims, rate: &[f64], times: &[usize]) -> Result<(), InputError> {
    let mut test = BernoulliKtTest::new(Alpha::default());
    for (place, &y) in rate.iter().enumerate() {
        let arm = if place % 2 == 0 { Arm::Control } else { Arm::Treatment };
        test.observe(arm, y, 0.5)?;
        if times.contains(&(place + 1)) {
            let time = (place + 1).to_string();
            claims.reproduces(&["rand_bernoulli_eprocess", "log_e", &time], test.log_e());
        }
    }
    Ok(())
}

fn means(claims: &mut Claims, stream: &str, outcomes: &[f64], times: &[usize]) -> Result<(), InputError> {
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
        if !times.contains(&(place + 1)) {
            continue;
        }
        let time = (place + 1).to_string();
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
            both(claims, &["confseq", stream, name, &time], bounds);
        }
    }
    claims.reproduces(&["confseq", stream, "mean"], sum / outcomes.len() as f64);
    Ok(())
}

fn rates(claims: &mut Claims, rate: &[f64], times: &[usize]) -> Result<(), InputError> {
    let alpha = Alpha::default();
    let exact = BernoulliSequence::new(100.0, alpha)?;
    // On the grid the file's level is halved for the tuning, and not for the test.
    let halved = exact.tuned_for(Alpha::new(alpha.value() / 2.0)?);
    let mut successes = 0;
    for (place, &x) in rate.iter().enumerate() {
        successes += x as u64;
        if !times.contains(&(place + 1)) {
            continue;
        }
        let time = (place + 1).to_string();
        let trials = place as u64 + 1;
        let bounds = Bounds::on_grid(1000, |step| {
            halved.log_e(step as f64 / 1000.0, successes, trials).is_ok_and(|e| e <= alpha.log_threshold())
        });
        both(claims, &["confseq", "bern", "conjmix_bernoulli_cs(t_opt=100,breaks=1000)", &time], bounds);
    }
    let interval = exact.interval(successes, rate.len() as u64)?;
    let name = "bernoulli_confidence_interval(S,n=50,alpha=.05,t_opt=100)";
    both(claims, &["confseq", "bern", name], interval);
    Ok(())
}
