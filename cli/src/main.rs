//! `unglue`: arguments in, the engine called, text out.

mod args;
mod diagnostic;
mod difference;
mod edge;
mod memory;
mod progress;
mod screen;
mod verbs;

use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;

use clap::Parser;
use transform::{Code, Error};

use args::Args;
use screen::Screen;

/// Exit code for findings or failed runs.
const FINDINGS: u8 = 1;
/// Exit code for wrong usage and for what should be impossible.
const FAILURE: u8 = 2;

/// Stack of the threads that plan queries: planners recurse over the syntax tree.
const STACK: usize = 16 << 20;

/// Gives back what is freed, which `.cargo/config.toml` has the settings of.
#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            let code = if error.use_stderr() { FAILURE } else { 0 };
            // Nothing is left to do if the terminal is gone.
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    edge::init_logging();
    // A panic is reported below as an error of its own, not as a trace.
    panic::set_hook(Box::new(|info| tracing::debug!(%info, "panic")));
    let mut screen = Screen::new(args.json);
    let outcome = panic::catch_unwind(AssertUnwindSafe(|| run(&args, &mut screen)));
    let outcome = outcome.unwrap_or_else(|_| {
        Err(Error::new(Code::Internal, "the program failed where it should not")
            .help("run again with RUST_LOG=debug and report what it says"))
    });
    match outcome {
        Ok(verbs::Verdict::Clean) => ExitCode::SUCCESS,
        Ok(verbs::Verdict::Findings) => ExitCode::from(FINDINGS),
        Err(error) => {
            screen.errors(&[error]);
            ExitCode::from(FAILURE)
        }
    }
}

fn run(args: &Args, screen: &mut Screen) -> transform::Result<verbs::Verdict> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(STACK)
        .build()
        .map_err(|error| Error::new(Code::Internal, format!("no threads could be started: {error}")))?;
    runtime.block_on(verbs::dispatch(args, screen))
}
