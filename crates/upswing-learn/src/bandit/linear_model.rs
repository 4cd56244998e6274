//! The model behind linear Thompson sampling and LinUCB: one Bayesian linear regression an arm, around a common one.
//!
//! A model pooled over all arms says what is to be expected in a context whichever version serves. Each arm then deviates
//! from it: by a bias of its own, and by a weight for each feature, shrunken towards zero by the variance of the feature's
//! group. So an arm that was never tried in a context is expected to do about as well as the others did there, with an
//! uncertainty as large as arms have been seen to differ. Variances come from the data ([`crate::variance_components`]).
//!
//! Cost: O(arms * d^3) for a snapshot, with d at most [`MAX_FEATURES`]: the features that are seen most often, without those
//! that are constant, rare, or identical with another. A probability costs O(arms * active features squared).

use std::collections::BTreeMap;

use upswing_domain::{Context, VersionId};

use crate::encoder::{self, BIAS, Feature, Kind, SLOTS};
use crate::gaussian::{self, Matrix, Posterior};
use crate::statistics::{ArmStatistics, Groups};
use crate::variance_components::{Sample, estimate};

/// The largest number of features of a model, the bias included.
pub(crate) const MAX_FEATURES: usize = 128;
/// A category or a cross that came with less than this share of all rewards is left out: whatever it does, it cannot
/// change the mean reward by more than this share of its effect.
const MIN_SHARE: f64 = 1.0 / 256.0;
/// The same for a pair of attributes, of which there are many more.
const MIN_CROSS_SHARE: f64 = 1.0 / 64.0;
/// The same for a cell of a number, whose neighbours and coarser cells say most of what it could.
const MIN_NUMBER_SHARE: f64 = 1.0 / 24.0;
/// A priori the context explains this share of the rewards' variance, divided among groups by weight.
const CONTEXT_SHARE: f64 = 0.25;
/// A variance of rewards before there are any: the largest that values in [0, 1] can have. Worth one observation.
const PRIOR_VARIANCE: f64 = 0.25;
/// Of the features at most this many are categories, cells of numbers, and crosses; categories have precedence.
const QUOTAS: [usize; 3] = [100, 40, 40];
/// An arm's deviation is left out when its prior variance is below this share of the noise in the mean of all that was seen.
const NEGLIGIBLE: f64 = 0.003;
const NONE: u16 = u16::MAX;

/// Posteriors of all arms.
#[derive(Debug, Clone)]
pub(crate) struct LinearModel {
    place: Vec<u16>,
    arms: Vec<(VersionId, Posterior)>,
    untried: Posterior,
}

/// What a group's features are, as far as its prior weight goes.
fn weight(kind: Kind) -> f64 {
    match kind {
        Kind::Bias | Kind::Category => 1.0,
        Kind::Cross | Kind::Number => 0.5,
    }
}

impl LinearModel {
    pub(crate) fn new(arms: &BTreeMap<VersionId, ArmStatistics>, groups: &Groups) -> Self {
        let arms: Vec<(&VersionId, &ArmStatistics)> = arms.iter().filter(|(_, a)| a.count > 0).collect();
        let slots = select(&arms);
        let d = slots.len();
        let grams: Vec<Matrix> = arms.iter().map(|(_, arm)| gram(arm, &slots)).collect();
        let moments: Vec<Vec<f64>> = arms.iter().map(|(_, arm)| moment(arm, &slots)).collect();
        let (group, kinds) = dense_groups(&slots, groups);

        let mut pooled_gram = Matrix::zero(d);
        let mut pooled_moment = vec![0.0; d];
        let mut squares = 0.0;
        for ((gram, moment), (_, arm)) in grams.iter().zip(&moments).zip(&arms) {
            pooled_gram.add(gram);
            pooled_moment.iter_mut().zip(moment).for_each(|(p, m)| *p += m);
            squares += arm.sum_of_squares();
        }
        let n = pooled_gram.at(0, 0);
        let spread = if n > 0.0 { squares - pooled_moment[0] * pooled_moment[0] / n } else { 0.0 };
        let variance = (PRIOR_VARIANCE + spread.max(0.0)) / (1.0 + n);
        let weights: f64 = kinds.iter().map(|&k| weight(k)).sum::<f64>().max(1.0);
        let guess: Vec<f64> = kinds.iter().map(|&k| CONTEXT_SHARE * variance * weight(k) / weights).collect();

        // What is common to all arms.
        let sample =
            Sample { gram: &pooled_gram, moment: pooled_moment.clone(), squares, kept: vec![1.0; d] };
        let found = estimate(&[sample], &group, &guess, CONTEXT_SHARE * variance, variance, 0.0);
        let prior_variance = variances(&group, &found.groups, 1.0);
        let mut prior_mean = vec![0.0; d];
        prior_mean[0] = 0.5;
        let pooled =
            gaussian::posterior(&pooled_gram, &pooled_moment, found.noise, &prior_mean, &prior_variance);
        let absorbed = (0..d).map(|i| 1.0 - pooled.covariance.at(i, i) / prior_variance[i]).sum::<f64>();

        // How arms deviate from it.
        let samples: Vec<Sample<'_>> = arms
            .iter()
            .zip(grams.iter().zip(&moments))
            .map(|((_, arm), (gram, moment))| {
                let fitted = gram.times(&pooled.mean);
                let squares = arm.sum_of_squares() - 2.0 * gaussian::dot(moment, &pooled.mean)
                    + gaussian::dot(&fitted, &pooled.mean);
                let moment = moment.iter().zip(&fitted).map(|(m, f)| m - f).collect();
                let kept = (0..d).map(|i| 1.0 - gram.at(i, i) / pooled_gram.at(i, i).max(1.0)).collect();
                Sample { gram, moment, squares, kept }
            })
            .collect();
        let found = estimate(&samples, &group, &guess, CONTEXT_SHARE * variance, variance, absorbed);
        let prior_variance = variances(&group, &found.groups, variance);
        // What cannot matter need not be inverted.
        let kept: Vec<usize> = (0..d)
            .filter(|&i| i == 0 || prior_variance[i] * pooled_gram.at(i, i) > NEGLIGIBLE * found.noise)
            .collect();
        let posteriors = arms
            .iter()
            .zip(grams.iter().zip(&moments))
            .map(|((id, _), (gram, moment))| {
                let fitted = gram.times(&pooled.mean);
                let residual: Vec<f64> = kept.iter().map(|&i| moment[i] - fitted[i]).collect();
                let variances: Vec<f64> = kept.iter().map(|&i| prior_variance[i]).collect();
                let zero = vec![0.0; kept.len()];
                let mut deviation =
                    gaussian::posterior(&gram.part(&kept), &residual, found.noise, &zero, &variances);
                deviation.mean.iter_mut().zip(&kept).for_each(|(m, &i)| *m += pooled.mean[i]);
                (**id, deviation)
            })
            .collect();
        let d = kept.len();
        let mut covariance = Matrix::zero(d);
        kept.iter().enumerate().for_each(|(k, &i)| covariance.set(k, k, prior_variance[i]));
        let mut place = vec![NONE; usize::from(SLOTS)];
        for (index, &i) in kept.iter().enumerate() {
            place[usize::from(slots[i])] = index as u16;
        }
        let mean = kept.iter().map(|&i| pooled.mean[i]).collect();
        Self { place, arms: posteriors, untried: Posterior { mean, covariance } }
    }

    /// Mean and standard deviation of each eligible version's expected reward in this context.
    pub(crate) fn beliefs(&self, context: Option<&Context>, eligible: &[VersionId]) -> Vec<(f64, f64)> {
        let mut features = Vec::with_capacity(64);
        encoder::encode(context, &mut features);
        let active: Vec<usize> = features
            .iter()
            .map(|f: &Feature| self.place[usize::from(f.slot)])
            .filter(|&p| p != NONE)
            .map(usize::from)
            .collect();
        eligible
            .iter()
            .map(|id| {
                let posterior = self.arms.iter().find(|arm| arm.0 == *id).map_or(&self.untried, |arm| &arm.1);
                belief(posterior, &active)
            })
            .collect()
    }
}

fn belief(posterior: &Posterior, active: &[usize]) -> (f64, f64) {
    let (mut mean, mut diagonal, mut off) = (0.0, 0.0, 0.0);
    for (k, &i) in active.iter().enumerate() {
        let row = posterior.covariance.row(i);
        mean += posterior.mean[i];
        diagonal += row[i];
        off += active[..k].iter().map(|&j| row[j]).sum::<f64>();
    }
    (mean, (diagonal + 2.0 * off).max(0.0).sqrt())
}

/// The prior variance of each weight: the bias', then its group's.
fn variances(group: &[usize], groups: &[f64], bias: f64) -> Vec<f64> {
    let mut result: Vec<f64> = group.iter().map(|&g| groups.get(g).copied().unwrap_or(bias)).collect();
    if let Some(first) = result.first_mut() {
        *first = bias;
    }
    result
}

/// The slots to model, bias first, then the most frequent.
fn select(arms: &[(&VersionId, &ArmStatistics)]) -> Vec<u16> {
    let mut counts: BTreeMap<u16, i64> = BTreeMap::new();
    let mut n = 0;
    for (_, arm) in arms {
        n += arm.count;
        for (slot, cell) in arm.cells() {
            *counts.entry(slot).or_default() += cell.count;
        }
    }
    let least = |slot| {
        let share = match encoder::kind(slot) {
            Kind::Number => MIN_NUMBER_SHARE,
            Kind::Cross => MIN_CROSS_SHARE,
            Kind::Bias | Kind::Category => MIN_SHARE,
        };
        ((n as f64 * share) as i64).max(1)
    };
    let mut candidates: Vec<(i64, u16)> =
        counts.into_iter().filter(|&(s, c)| c < n && c >= least(s)).map(|(s, c)| (-c, s)).collect();
    candidates.sort_unstable();
    let mut chosen: Vec<(i64, u16)> = Vec::new();
    for (negative, slot) in candidates {
        // Identical columns have equal counts, and equal counts are neighbours here.
        let twin = chosen.iter().rev().take_while(|c| c.0 == negative).any(|&(_, other)| {
            let (a, b) = (other.min(slot), other.max(slot));
            arms.iter().map(|(_, arm)| arm.together(a, b)).sum::<i64>() == -negative
        });
        if !twin {
            chosen.push((negative, slot));
        }
    }
    let mut slots = Vec::new();
    for (kind, quota) in [Kind::Category, Kind::Number, Kind::Cross].into_iter().zip(QUOTAS) {
        let room = quota.min(MAX_FEATURES - 1 - slots.len());
        slots.extend(chosen.iter().map(|c| c.1).filter(|&slot| encoder::kind(slot) == kind).take(room));
    }
    slots.push(BIAS);
    slots.sort_unstable();
    slots
}

fn gram(arm: &ArmStatistics, slots: &[u16]) -> Matrix {
    let mut gram = Matrix::zero(slots.len());
    gram.set(0, 0, arm.n());
    for (i, &slot) in slots.iter().enumerate().skip(1) {
        let count = arm.cell(slot).count as f64;
        gram.set(i, i, count);
        gram.set(0, i, count);
        gram.set(i, 0, count);
        for (j, &other) in slots.iter().enumerate().take(i).skip(1) {
            let count = arm.together(other, slot) as f64;
            gram.set(i, j, count);
            gram.set(j, i, count);
        }
    }
    gram
}

fn moment(arm: &ArmStatistics, slots: &[u16]) -> Vec<f64> {
    let scale = f64::from(upswing_domain::Reward::SCALE);
    let mut moment: Vec<f64> = slots.iter().map(|&slot| arm.cell(slot).sum as f64 / scale).collect();
    moment[0] = arm.sum_of_rewards();
    moment
}

/// Each feature's group as an index, and each group's kind.
fn dense_groups(slots: &[u16], groups: &Groups) -> (Vec<usize>, Vec<Kind>) {
    let by_slot = groups.by_slot();
    let mut index: BTreeMap<(u8, u8), usize> = BTreeMap::new();
    let mut kinds = Vec::new();
    let group = slots
        .iter()
        .map(|&slot| {
            let kind = encoder::kind(slot);
            if kind == Kind::Bias {
                return 0;
            }
            let key = (kind as u8, by_slot.get(&slot).copied().unwrap_or(0));
            *index.entry(key).or_insert_with(|| {
                kinds.push(kind);
                kinds.len() - 1
            })
        })
        .collect();
    (group, kinds)
}
