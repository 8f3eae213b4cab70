//! What Glue says when it does not do what was asked, as an error of unglue.

use std::error::Error as StdError;
use std::iter::successors;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_glue::config::http::HttpResponse;
use aws_sdk_glue::error::{ProvideErrorMetadata, SdkError};
use transform::{Code, Error};

/// There is no such database, table or partition.
pub(super) const NOT_FOUND: &str = "EntityNotFoundException";
/// There is such a table or partition.
pub(super) const EXISTS: &str = "AlreadyExistsException";
/// The definition is not of the version that was given.
pub(super) const CHANGED: &str = "ConcurrentModificationException";

/// Whether Glue answered with this exception.
pub(super) fn says<E: ProvideErrorMetadata>(error: &SdkError<E>, exception: &str) -> bool {
    error.code() == Some(exception)
}

/// The error of a call that failed, for whatever reason; `what` says what was being done.
pub(super) fn failed<E>(what: &str, error: SdkError<E>) -> Error
where
    E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
{
    let status = error.raw_response().map(|response: &HttpResponse| response.status().as_u16());
    let (code, said) = match &error {
        SdkError::ServiceError(_) => {
            let exception = error.code().unwrap_or("an error without a name");
            (code_of(exception, status), saying(exception, error.message()))
        }
        SdkError::TimeoutError(_) => (Code::CatalogUnavailable, "no answer came in time".to_owned()),
        _ if has_no_credentials(&error) => (Code::PermissionDenied, last_cause(&error)),
        SdkError::ConstructionFailure(_) => (Code::CatalogRefused, last_cause(&error)),
        // Nothing was sent, and another try would not change that: there is no region, for example.
        SdkError::DispatchFailure(failure)
            if failure.is_user() || (failure.is_other() && failure.as_other().is_none()) =>
        {
            (Code::CatalogRefused, last_cause(&error))
        }
        _ => (Code::CatalogUnavailable, last_cause(&error)),
    };
    with_help(code, what, &said).because(error)
}

/// The error of one entry of a batch.
pub(super) fn entry_failed(what: &str, exception: Option<&str>, message: Option<&str>) -> Error {
    let exception = exception.unwrap_or("an error without a name");
    with_help(code_of(exception, None), what, &saying(exception, message))
}

fn saying(exception: &str, message: Option<&str>) -> String {
    match message.map(str::trim).filter(|message| !message.is_empty()) {
        Some(message) => format!("{message} ({exception})"),
        None => exception.to_owned(),
    }
}

fn with_help(code: Code, what: &str, said: &str) -> Error {
    let error = Error::new(code, format!("{what} failed in the Glue Data Catalog: {said}"));
    match code {
        Code::PermissionDenied => error.help("give the credentials or the role in use the permission"),
        Code::CatalogUnavailable | Code::Conflict => error.help("run again"),
        _ => error,
    }
}

/// What an exception means. What is not known is taken for refused, unless the status says that the service is at fault.
fn code_of(exception: &str, status: Option<u16>) -> Code {
    match exception {
        NOT_FOUND => Code::NotFound,
        CHANGED | EXISTS => Code::Conflict,
        "AccessDenied"
        | "AccessDeniedException"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "IncompleteSignature"
        | "IncompleteSignatureException"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "NotAuthorized"
        | "PermissionTypeMismatchException"
        | "SignatureDoesNotMatch"
        | "UnrecognizedClientException" => Code::PermissionDenied,
        // An encrypted catalog whose key may not be used.
        "GlueEncryptionException" => Code::PermissionDenied,
        "FederationSourceRetryableException"
        | "InternalFailure"
        | "InternalServerException"
        | "InternalServiceException"
        | "OperationTimeoutException"
        | "RequestTimeout"
        | "RequestTimeoutException"
        | "ResourceNotReadyException"
        | "ServiceUnavailable"
        | "ServiceUnavailableException"
        | "RequestLimitExceeded"
        | "SlowDown"
        | "TooManyRequestsException" => Code::CatalogUnavailable,
        throttled if throttled.starts_with("Thrott") || throttled.starts_with("RequestThrottled") => {
            Code::CatalogUnavailable
        }
        _ if status.is_some_and(|status| status >= 500 || status == 429) => Code::CatalogUnavailable,
        _ => Code::CatalogRefused,
    }
}

fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    successors(Some(error), |error: &&'a (dyn StdError + 'static)| (*error).source())
}

/// Whether credentials are missing. A service that gives them but does not answer is asked again.
fn has_no_credentials(error: &(dyn StdError + 'static)) -> bool {
    let mut found = causes(error).filter_map(|cause| cause.downcast_ref::<CredentialsError>());
    found.any(|error| !matches!(error, CredentialsError::ProviderTimedOut(_)))
}

/// The innermost cause, which says most: the outer ones name layers of the SDK.
fn last_cause(error: &(dyn StdError + 'static)) -> String {
    causes(error).last().map(ToString::to_string).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exceptions_have_the_kind_that_decides_about_another_try() {
        for (exception, status, code) in [
            ("ThrottlingException", Some(400), Code::CatalogUnavailable),
            ("InternalServiceException", Some(500), Code::CatalogUnavailable),
            ("NeverSeenException", Some(503), Code::CatalogUnavailable),
            ("NeverSeenException", Some(400), Code::CatalogRefused),
            ("InvalidInputException", Some(400), Code::CatalogRefused),
            ("ResourceNumberLimitExceededException", Some(400), Code::CatalogRefused),
            ("AccessDeniedException", Some(400), Code::PermissionDenied),
            ("ConcurrentModificationException", Some(400), Code::Conflict),
            ("EntityNotFoundException", Some(400), Code::NotFound),
        ] {
            assert_eq!(code_of(exception, status), code, "{exception} {status:?}");
        }
    }

    #[tokio::test]
    async fn a_machine_without_region_or_credentials() {
        use aws_credential_types::credential_fn::provide_credentials_fn;
        use aws_sdk_glue::config::{Builder, Credentials, Region};
        let builder =
            || Builder::new().behavior_version(crate::http::BEHAVIOR()).http_client(crate::http::http_client());
        let no_region = builder().credentials_provider(Credentials::new("a", "b", None, None, "tests")).build();
        let nothing = provide_credentials_fn(async || Err(CredentialsError::not_loaded("no profile")));
        let no_credentials = builder().region(Region::new("us-east-1")).credentials_provider(nothing).build();
        let mut errors = Vec::new();
        for config in [no_region, no_credentials] {
            let sent = aws_sdk_glue::Client::from_conf(config).get_databases().send().await;
            errors.push(failed("listing the databases", sent.unwrap_err()));
        }
        for (error, code) in errors.iter().zip([Code::CatalogRefused, Code::PermissionDenied]) {
            assert_eq!(error.code, code, "{error} because of {:?}", error.source);
        }
        assert!(errors[0].message.ends_with("Missing Region"), "{}", errors[0]);
    }

    #[test]
    fn entries_of_batches_say_what_and_why() {
        let error = entry_failed("adding the partition `2026`", Some("ThrottlingException"), Some("Rate exceeded"));
        assert_eq!(
            error.to_string(),
            "catalog-unavailable: adding the partition `2026` failed in the Glue Data Catalog: Rate exceeded \
             (ThrottlingException); run again"
        );
    }
}
