//! The start of a function's process: the only place that reads the environment and the clock.

use std::env;
use std::process::ExitCode;

use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde_json::Value;
use tokio::time::Instant;
use transform::{Code, Error, Limits, Result, Stamp};

use crate::functions::deadline;
use crate::http;
use crate::settings::Settings;
use crate::wiring::Wiring;

/// Stack of the threads that plan queries: planners recurse over the syntax tree.
const STACK: usize = 16 << 20;

/// Runs a function until its process ends: makes it once, and calls it for each event. Each program has the code of one function
/// only, because it names that one here.
pub fn start<F>(
    make: impl FnOnce(&Wiring) -> Result<F>,
    call: impl AsyncFn(&F, Value, Stamp, Instant) -> Result<Value>,
) -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info,object_store=warn"));
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).without_time();
    // A second initialisation cannot happen: there is one call.
    let _ = subscriber.try_init();
    match run(make, call) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(code = %error.code, help = error.help, "the function cannot start: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run<F>(
    make: impl FnOnce(&Wiring) -> Result<F>,
    call: impl AsyncFn(&F, Value, Stamp, Instant) -> Result<Value>,
) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(STACK)
        .build()
        .map_err(|error| Error::new(Code::Internal, format!("no threads could be started: {error}")))?;
    runtime.block_on(async {
        let settings = Settings::read(|name| env::var(name).ok())?;
        let limits = limits(&settings);
        let wiring = Wiring::new(settings, http::config().await, limits);
        let (function, call) = (&make(&wiring)?, &call);
        let answer = move |event: LambdaEvent<Value>| async move {
            let stamp = Stamp { at: chrono::Utc::now(), seed: uuid::Uuid::new_v4().to_string() };
            let answer = call(function, event.payload, stamp, deadline(event.context.deadline)).await;
            answer.map_err(|error| Diagnostic { error_type: error.code.to_string(), error_message: error.to_string() })
        };
        lambda_runtime::run(service_fn(answer))
            .await
            .map_err(|error| Error::new(Code::Internal, format!("the runtime of Lambda ended: {error}")))
    })
}

/// What a run may use: `/tmp` is the only folder of a function that can be written.
pub fn limits(settings: &Settings) -> Limits {
    Limits {
        memory: settings.memory,
        temp: env::temp_dir(),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
    }
}
