//! The function `transform`: the catalog has news, the transforms that read it run.

use std::process::ExitCode;

use handlers::functions::Role;
use handlers::start::start;

fn main() -> ExitCode {
    start(Role::Transform)
}
