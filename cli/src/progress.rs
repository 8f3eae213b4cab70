//! The progress bar of `run`, on stderr and only on a terminal.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use transform::Progress;

/// One bar for the transform that is running.
pub(crate) struct Bar {
    bar: ProgressBar,
    read: Arc<Mutex<Option<Arc<AtomicU64>>>>,
}

impl Bar {
    pub(crate) fn new() -> Self {
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
        let style =
            ProgressStyle::with_template("{spinner} {msg:<32} {bar:30} {bytes:>10} / {total_bytes} {bytes_per_sec}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self { bar, read: Arc::default() }
    }

    /// Follows what the engine says.
    pub(crate) fn follow(&self, progress: Progress) {
        match progress {
            Progress::Started { transform, bytes, bytes_read, .. } => {
                self.bar.reset();
                self.bar.set_message(transform.to_string());
                self.bar.set_length(bytes);
                self.bar.enable_steady_tick(Duration::from_millis(100));
                *self.counter() = Some(bytes_read);
            }
            Progress::Finished { .. } => {
                *self.counter() = None;
                self.bar.disable_steady_tick();
                self.bar.set_draw_target(ProgressDrawTarget::stderr());
            }
        }
    }

    /// Moves the bar to the bytes read by now.
    pub(crate) fn tick(&self) {
        if let Some(read) = self.counter().as_ref() {
            self.bar.set_position(read.load(Ordering::Relaxed));
        }
    }

    /// Takes the bar off the screen.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }

    fn counter(&self) -> std::sync::MutexGuard<'_, Option<Arc<AtomicU64>>> {
        self.read.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
