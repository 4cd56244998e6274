//! The hashes that assign units to arms.

use upswing_domain::assignment::{fnv1a32, hash};

use super::claims::Claims;

/// Checks what this module answers for.
pub(crate) fn claims(claims: &mut Claims) {
    claims.reproduces(&["hash", "growthbook_v1", "b|a"], hash("b", "a", 1).unwrap());
    for unit in ["a", "b", "user-1", "user-42", "8952klfjas09ujk"] {
        let place = ["hash", "growthbook_v2 hash(seed,value)", &format!("seed|{unit}")];
        claims.reproduces(&place, hash("seed", unit, 2).unwrap());
    }
    for text in ["a", "user-1", "user-42", "8952klfjas09ujk"] {
        claims.reproduces(&["hash", "fnv1a32", text], f64::from(fnv1a32(text)));
    }
}
