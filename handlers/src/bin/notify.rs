//! The function `notify`: what happened, told to people.

use std::process::ExitCode;

use handlers::functions::NotifyFunction;
use handlers::start::start;

fn main() -> ExitCode {
    start(NotifyFunction::new, NotifyFunction::call)
}
