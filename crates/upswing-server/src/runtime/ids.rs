//! Fresh identifiers: time from the clock, the rest from a keyed generator of this thread.

use std::cell::RefCell;

use upswing_domain::Timestamp;
use uuid::Uuid;

/// BLAKE3 in counter mode under a key from the operating system: unpredictable, and no system call an id.
struct Generator {
    key: [u8; 32],
    counter: u64,
    block: [u8; 32],
    used: usize,
}

impl Generator {
    fn new() -> Self {
        let mut key = [0; 32];
        if let Err(error) = getrandom::fill(&mut key) {
            // Ids must be unique, not secret: the address of a stack variable, the thread and the time do for that.
            tracing::warn!(%error, "the operating system gave no randomness");
            let unique =
                format!("{:?} {:p} {:?}", std::thread::current().id(), &key, std::time::Instant::now());
            key = *blake3::hash(unique.as_bytes()).as_bytes();
        }
        Self { key, counter: 0, block: [0; 32], used: 32 }
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        if self.used + N > self.block.len() {
            self.block = *blake3::keyed_hash(&self.key, &self.counter.to_le_bytes()).as_bytes();
            self.counter += 1;
            self.used = 0;
        }
        let mut out = [0; N];
        out.copy_from_slice(&self.block[self.used..self.used + N]);
        self.used += N;
        out
    }
}

thread_local! {
    static GENERATOR: RefCell<Generator> = RefCell::new(Generator::new());
}

/// A UUID of version 7.
pub(crate) fn fresh(now: Timestamp) -> Uuid {
    let random = GENERATOR.with_borrow_mut(Generator::bytes::<10>);
    let millis = u64::try_from(now.0 / 1000).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

/// The id of a request that brought none: 16 hexadecimal characters.
pub(crate) fn request_id() -> String {
    let random = u64::from_le_bytes(GENERATOR.with_borrow_mut(Generator::bytes::<8>));
    format!("{random:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_of_version_seven_and_differ() {
        let now = Timestamp(1_700_000_000_000_000);
        let ids: std::collections::HashSet<_> = (0..1000).map(|_| fresh(now)).collect();
        assert_eq!(ids.len(), 1000);
        assert!(ids.iter().all(|id| id.get_version_num() == 7));
        assert_eq!(request_id().len(), 16);
    }
}
