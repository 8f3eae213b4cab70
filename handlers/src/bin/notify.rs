//! The function `notify`: what happened, told to people.

use std::process::ExitCode;

use handlers::functions::Role;
use handlers::start::start;

fn main() -> ExitCode {
    start(Role::Notify)
}
