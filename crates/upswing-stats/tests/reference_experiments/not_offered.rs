//! Numbers that are not reproduced here, each with its reason.

use super::claims::Claims;

const SIMULATED: &str = "another program's random numbers; `cargo run --release --example peeking` (and `canary`) of this crate \
    simulate the same and mark what lies more than three standard errors apart";

const NOT_REPRODUCED: &[(&[&str], &str)] = &[
    (&["hash", "murmur3_x86_32_seed0"], "only other vendors' assignment uses this hash"),
    (&["hash", "unleash groupId=g (strategy %100+1, seed0)"], "another vendor's assignment"),
    (&["hash", "unleash variant (%1000+1, seed 86028157)"], "another vendor's assignment"),
    (
        &["hash", "optimizely floor(murmur3(key+'1886780721',seed1)/2^32*10000)"],
        "another vendor's assignment",
    ),
    (&["hash", "statsig sha256(salt.id) first8 BE %10000 (salt='s')"], "another vendor's assignment"),
    (&["hash", "eppo md5(salt-key) first4 BE %10000 (salt='s')"], "another vendor's assignment"),
    (&["simulations"], SIMULATED),
];

/// Excludes them.
pub(crate) fn claims(claims: &mut Claims) {
    for (path, reason) in NOT_REPRODUCED {
        claims.excluded(path, reason);
    }
}
