//! The function `transform`: the catalog has news, the transforms that read it run.

use std::process::ExitCode;

use handlers::functions::TransformFunction;
use handlers::start::start;

fn main() -> ExitCode {
    start(TransformFunction::new, TransformFunction::call)
}
