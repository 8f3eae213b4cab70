//! Looking after tables between runs: what happened, what may be deleted, what is not as it should be.

pub(crate) mod doctor;
pub(crate) mod gc;
pub(crate) mod history;
mod shown;

pub use doctor::{Finding, FindingKind};
pub use gc::{Amount, Collected};
pub use history::{PastRun, RunOutcome};
