//! What a run costs.

use transform::Receipt;

use crate::event::own::Cost;

/// Price of a gigabyte-second of Lambda in US dollars: x86, us-east-1, 2026-11.
const USD_FOR_GB_SECOND: f64 = 0.000_016_666_7;

/// The cost of a run's time in a function of so much memory, in MB. Requests are not in it: they are a fraction of a cent for a
/// thousand runs.
pub fn of(receipt: &Receipt, memory: usize) -> Cost {
    let gb_seconds = memory as f64 / 1024.0 * receipt.seconds;
    Cost { gb_seconds, usd: gb_seconds * USD_FOR_GB_SECOND }
}
