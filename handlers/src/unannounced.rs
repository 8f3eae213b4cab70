//! The words of AWS services as errors.

use aws_sdk_sqs::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use transform::{Code, Error};

/// What refuses to hand a message over, and why.
pub(crate) fn unannounced<E, R>(what: &str, error: SdkError<E, R>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    let said = match (error.code(), error.message()) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_owned(),
        _ => DisplayErrorContext(&error).to_string(),
    };
    let denied = ["AccessDenied", "AccessDeniedException", "AuthorizationError", "AuthorizationErrorException"];
    if error.code().is_some_and(|code| denied.contains(&code)) {
        return Error::new(Code::PermissionDenied, format!("{what} refuses: {said}"))
            .help("give the function the permission that is named");
    }
    Error::new(Code::Unannounced, format!("{what} did not take a message: {said}"))
        .help("it is sent again with the next try; if it stays, mend what the service complains about")
}
