//! Numbers that are not reproduced here, each with its reason.

use super::claims::Claims;

/// Checked by a module of its own. Remove an entry when that module is called in `main.rs`.
const OTHER_MODULE: &[(&[&str], &str)] = &[
    (&["msprt"], "other module: the mixture SPRT"),
    (&["confseq"], "other module: confidence sequences of bounded means, and their boundaries"),
    (&["rand_bernoulli_eprocess"], "other module: the randomisation e-process"),
    (&["simulations"], "other module: simulated error rates"),
    (&["hash", "growthbook_v2 hash(seed,value)"], "other module: assignment, in upswing-domain"),
    (&["hash", "growthbook_v1"], "other module: assignment, in upswing-domain"),
    (&["hash", "fnv1a32"], "other module: assignment, in upswing-domain"),
];

/// Not offered by Upswing.
const NOT_OFFERED: &[(&[&str], &str)] = &[
    (&["hash", "murmur3_x86_32_seed0"], "only other vendors' assignment uses this hash"),
    (&["hash", "unleash groupId=g (strategy %100+1, seed0)"], "another vendor's assignment"),
    (&["hash", "unleash variant (%1000+1, seed 86028157)"], "another vendor's assignment"),
    (
        &["hash", "optimizely floor(murmur3(key+'1886780721',seed1)/2^32*10000)"],
        "another vendor's assignment",
    ),
    (&["hash", "statsig sha256(salt.id) first8 BE %10000 (salt='s')"], "another vendor's assignment"),
    (&["hash", "eppo md5(salt-key) first4 BE %10000 (salt='s')"], "another vendor's assignment"),
];

/// Excludes them.
pub(crate) fn claims(claims: &mut Claims) {
    for (path, reason) in OTHER_MODULE.iter().chain(NOT_OFFERED) {
        claims.excluded(path, reason);
    }
}
