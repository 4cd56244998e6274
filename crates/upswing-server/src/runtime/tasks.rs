//! Tasks that somebody waits for. Nothing else spawns.

use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The server's tasks: told to stop together, joined at the end.
#[derive(Debug)]
pub(crate) struct Tasks {
    stop: watch::Sender<bool>,
    running: Mutex<Vec<(&'static str, JoinHandle<()>)>>,
}

/// Tells a task when to stop.
#[derive(Debug, Clone)]
pub(crate) struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Waits until the task is to stop.
    pub(crate) async fn requested(&mut self) {
        // A sender that is gone is a server that is gone.
        let _ = self.0.wait_for(|stop| *stop).await;
    }
}

impl Tasks {
    pub(crate) fn new() -> Self {
        Self { stop: watch::Sender::new(false), running: Mutex::default() }
    }

    /// What tells a task to stop.
    pub(crate) fn stop_signal(&self) -> Stop {
        Stop(self.stop.subscribe())
    }

    /// Runs a task until it ends by itself or heeds its stop signal.
    #[expect(clippy::disallowed_methods, reason = "this is where tasks are spawned, and joined in `finish`")]
    pub(crate) fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let handle = tokio::spawn(task);
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.retain(|(_, task)| !task.is_finished());
        running.push((name, handle));
    }

    /// Tells all tasks to stop.
    pub(crate) fn request_stop(&self) {
        self.stop.send_replace(true);
    }

    /// Tells all tasks to stop and waits until they have.
    pub(crate) async fn finish(&self) {
        self.request_stop();
        loop {
            let next = self.running.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some((name, task)) = next else { return };
            if let Err(error) = task.await {
                tracing::error!(task = name, %error, "a task ended badly");
            }
        }
    }
}

/// Computes on a thread of its own kind, so that the network does not wait.
///
/// # Errors
/// When the computation panics.
pub(crate) async fn compute<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, tokio::task::JoinError> {
    tokio::task::spawn_blocking(work).await
}
