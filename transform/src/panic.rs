//! Panics of libraries as errors: a decoder that meets bytes it never thought of must not end the program.

use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures::FutureExt;

use crate::code::Code;
use crate::error::{Error, Result};

/// The outcome of a future, in which a panic is an error.
pub(crate) async fn unpanicked<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    match AssertUnwindSafe(future).catch_unwind().await {
        Ok(outcome) => outcome,
        Err(panic) => {
            let message = panic.downcast_ref::<String>().map(String::as_str);
            let message = message.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
            Err(Error::new(Code::Internal, format!("a library failed: {message}")))
        }
    }
}
