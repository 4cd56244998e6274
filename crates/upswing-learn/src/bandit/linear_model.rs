//! The model behind linear Thompson sampling and LinUCB: one Bayesian linear regression an arm.
//!
//! Each arm has a bias of its own, and a weight for each feature, shrunken towards zero by the variance of the feature's
//! group. So where little is known of an arm in a context, it is expected to do there as it did on the whole. Variances
//! are those that the data show, common to all arms ([`crate::variance_components`]).
//!
//! Weights are not shrunken towards what all arms have in common: a mean over the traffic is, wherever a policy has chosen
//! well, the best arm's, and other arms would look too good there for ever.
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
const CONTEXT_SHARE: f64 = 0.1;
/// A mean of rewards before there are any; worth one observation.
const PRIOR_MEAN: f64 = 0.5;
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
        let by_slot = groups.by_slot();
        let slots = select(&arms, &by_slot);
        let d = slots.len();
        let grams: Vec<Matrix> = arms.iter().map(|(_, arm)| gram(arm, &slots)).collect();
        let moments: Vec<Vec<f64>> = arms.iter().map(|(_, arm)| moment(arm, &slots)).collect();
        let (group, kinds) = dense_groups(&slots, &by_slot);

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

        // Where an arm is expected to be before it was tried: at the mean of all, whatever the context.
        let mut common = vec![0.0; d];
        common[0] = (PRIOR_MEAN + pooled_moment[0]) / (1.0 + n);
        let samples: Vec<Sample<'_>> = arms
            .iter()
            .zip(grams.iter().zip(&moments))
            .map(|((_, arm), (gram, moment))| {
                let fitted = gram.times(&common);
                let squares = arm.sum_of_squares() - 2.0 * gaussian::dot(moment, &common)
                    + gaussian::dot(&fitted, &common);
                let moment = moment.iter().zip(&fitted).map(|(m, f)| m - f).collect();
                Sample { gram, moment, squares }
            })
            .collect();
        let found = estimate(&samples, &group, &guess, CONTEXT_SHARE * variance, variance);
        let prior_variance = variances(&group, &found.groups, variance);
        // What cannot matter need not be inverted.
        let kept: Vec<usize> = (0..d)
            .filter(|&i| i == 0 || prior_variance[i] * pooled_gram.at(i, i) > NEGLIGIBLE * found.noise)
            .collect();
        let posteriors = arms
            .iter()
            .zip(grams.iter().zip(&moments))
            .map(|((id, _), (gram, moment))| {
                let fitted = gram.times(&common);
                let residual: Vec<f64> = kept.iter().map(|&i| moment[i] - fitted[i]).collect();
                let variances: Vec<f64> = kept.iter().map(|&i| prior_variance[i]).collect();
                let zero = vec![0.0; kept.len()];
                let mut deviation =
                    gaussian::posterior(&gram.part(&kept), &residual, found.noise, &zero, &variances);
                deviation.mean.iter_mut().zip(&kept).for_each(|(m, &i)| *m += common[i]);
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
        let mean = kept.iter().map(|&i| common[i]).collect();
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

/// The slots to model, bias first. Categories have precedence; of each kind, the groups for which arms differ most clearly.
fn select(arms: &[(&VersionId, &ArmStatistics)], by_slot: &[u8]) -> Vec<u16> {
    let mut totals = vec![(0_i64, 0.0); usize::from(SLOTS)];
    let mut n = 0;
    for (_, arm) in arms {
        n += arm.count;
        let mean = arm.sum as f64 / arm.n();
        for (slot, cell) in arm.cells() {
            let total = &mut totals[usize::from(slot)];
            total.0 += cell.count;
            total.1 += cell.sum as f64 - cell.count as f64 * mean;
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
    for (slot, total) in (0_u16..).zip(&mut totals) {
        if total.0 >= n || total.0 < least(slot) {
            *total = (0, 0.0);
        }
    }
    let evidence = evidence(arms, by_slot, &totals);
    let mut candidates: Vec<(i64, u16)> =
        (0_u16..).zip(&totals).filter(|(_, t)| t.0 > 0).map(|(slot, t)| (-t.0, slot)).collect();
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
    let clearness = |slot: u16| evidence[group_key(slot, by_slot)];
    // Sorting is stable: within a group the most frequent stay first.
    chosen.sort_by(|a, b| clearness(b.1).total_cmp(&clearness(a.1)));
    let mut slots = Vec::new();
    for (kind, quota) in [Kind::Category, Kind::Number, Kind::Cross].into_iter().zip(QUOTAS) {
        let room = quota.min(MAX_FEATURES - 1 - slots.len());
        slots.extend(chosen.iter().map(|c| c.1).filter(|&slot| encoder::kind(slot) == kind).take(room));
    }
    slots.push(BIAS);
    slots.sort_unstable();
    slots
}

/// How clearly arms differ by each group of features, in standard deviations: the sum over arms and features of squared
/// standardised deviations from what all arms have in common there, less its expectation. O(arms * slots).
fn evidence(arms: &[(&VersionId, &ArmStatistics)], by_slot: &[u8], totals: &[(i64, f64)]) -> Vec<f64> {
    let mut sums = vec![(0.0, 0.0); GROUPS];
    let squares: f64 =
        arms.iter().map(|(_, arm)| arm.squares as f64 - (arm.sum as f64).powi(2) / arm.n()).sum();
    let n: f64 = arms.iter().map(|(_, arm)| arm.n()).sum();
    let scale = f64::from(upswing_domain::Reward::SCALE);
    let noise = (PRIOR_VARIANCE * scale * scale + squares.max(0.0)) / (1.0 + n);
    for (_, arm) in arms {
        let mean = arm.sum as f64 / arm.n();
        // In the order of slots, not of a hash map: sums of floats depend on their order.
        for (slot, &(total, sum)) in (0_u16..).zip(totals).filter(|(_, t)| t.0 > 0) {
            let cell = arm.cell(slot);
            let (count, total) = (cell.count as f64, total as f64);
            // The part of the variance that is not the arm's own share of what is common, nor of its mean.
            let kept = (1.0 - count / total) * (1.0 - count / arm.n());
            if kept > 1e-6 && count > 0.0 {
                let deviation = cell.sum as f64 - count * (mean + sum / total);
                let entry: &mut (f64, f64) = &mut sums[group_key(slot, by_slot)];
                entry.0 += deviation * deviation / (count * noise) - kept;
                entry.1 += 2.0 * kept * kept;
            }
        }
    }
    sums.into_iter().map(|(excess, variance)| excess / variance.sqrt().max(1e-9)).collect()
}

/// Groups are told apart by kind and hash.
const GROUPS: usize = 4 * 256;

fn group_key(slot: u16, by_slot: &[u8]) -> usize {
    encoder::kind(slot) as usize * 256 + usize::from(by_slot[usize::from(slot)])
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
fn dense_groups(slots: &[u16], by_slot: &[u8]) -> (Vec<usize>, Vec<Kind>) {
    let mut index: BTreeMap<usize, usize> = BTreeMap::new();
    let mut kinds = Vec::new();
    let group = slots
        .iter()
        .map(|&slot| {
            let kind = encoder::kind(slot);
            if kind == Kind::Bias {
                return 0;
            }
            *index.entry(group_key(slot, by_slot)).or_insert_with(|| {
                kinds.push(kind);
                kinds.len() - 1
            })
        })
        .collect();
    (group, kinds)
}
