//! The time of day. The only place that reads it, so that a test can drive it.

use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;
use tokio::sync::watch;
use upswing_domain::Timestamp;

/// What time it is, and waiting by that time.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
    /// Waits until it is `moment`.
    fn wait_until(&self, moment: Timestamp) -> BoxFuture<'static, ()>;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is where the wall clock is read")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }

    fn wait_until(&self, moment: Timestamp) -> BoxFuture<'static, ()> {
        let clock = *self;
        Box::pin(async move {
            loop {
                let left = moment.0.saturating_sub(clock.now().0);
                if left <= 0 {
                    return;
                }
                // In pieces of at most a second, so that a clock that is set is noticed.
                tokio::time::sleep(Duration::from_micros(left.unsigned_abs().min(1_000_000))).await;
            }
        })
    }
}

/// A clock that stands until it is moved.
#[derive(Debug, Clone)]
pub struct ManualClock(watch::Sender<Timestamp>);

impl ManualClock {
    /// A clock that stands at `start`.
    pub fn new(start: Timestamp) -> Self {
        Self(watch::Sender::new(start))
    }

    /// Moves it on by whole seconds.
    pub fn advance_seconds(&self, seconds: i64) {
        self.0.send_modify(|now| *now = now.plus_seconds(seconds));
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.0.borrow()
    }

    fn wait_until(&self, moment: Timestamp) -> BoxFuture<'static, ()> {
        let mut watch = self.0.subscribe();
        Box::pin(async move {
            // The sender lives in the clock; should it be gone, nothing will ever be due.
            if watch.wait_for(|now| *now >= moment).await.is_err() {
                std::future::pending::<()>().await;
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_manual_clock_wakes_who_waits_for_the_moment() {
        let clock = ManualClock::new(Timestamp(0));
        let due = clock.wait_until(Timestamp(0).plus_seconds(10));
        clock.advance_seconds(9);
        assert_eq!(clock.now(), Timestamp(9_000_000));
        clock.advance_seconds(1);
        due.await;
    }
}
