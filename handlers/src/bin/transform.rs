//! The function `transform`: the catalog has news, the transforms that read it run.

use std::process::ExitCode;

use handlers::functions::TransformFunction;
use handlers::start::start;

/// Gives back what is freed, which `.cargo/config.toml` has the settings of.
#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    start(TransformFunction::new, TransformFunction::call)
}
