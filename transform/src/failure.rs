//! DataFusion's errors at run time as the engine's, by what the reader must do.

use arrow::error::ArrowError;
use datafusion::error::DataFusionError;

use crate::code::Code;
use crate::error::Error;
use crate::store::{io_kind, storage};

/// The engine's error for one that came out of a running plan.
pub(crate) fn of_execution(error: DataFusionError) -> Error {
    match error {
        DataFusionError::External(inner) => match inner.downcast::<Error>() {
            Ok(error) => *error,
            Err(inner) => match inner.downcast::<DataFusionError>() {
                Ok(error) => of_execution(*error),
                Err(inner) => of_io(inner),
            },
        },
        DataFusionError::ArrowError(inner, _) => match *inner {
            ArrowError::ExternalError(inner) => of_execution(DataFusionError::External(inner)),
            inner => of_arrow(inner),
        },
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => of_execution(*inner),
        DataFusionError::Shared(inner) => of_shared(&inner),
        DataFusionError::ObjectStore(inner) => match inner.as_ref() {
            object_store::Error::NotFound { path, .. } | object_store::Error::Precondition { path, .. } => {
                storage(&path.clone(), *inner)
            }
            _ => storage("the inputs", *inner),
        },
        DataFusionError::ParquetError(inner) => {
            Error::new(Code::BadObject, format!("a Parquet object cannot be read: {inner}")).because(*inner)
        }
        DataFusionError::ResourcesExhausted(message) => of_resources(&message),
        DataFusionError::IoError(inner) => of_io(Box::new(inner)),
        DataFusionError::Execution(message) => Error::new(Code::ValueOutOfRange, lower(&message)),
        DataFusionError::NotImplemented(message) => Error::new(Code::InvalidQuery, lower(&message)),
        DataFusionError::Plan(message) => Error::new(Code::InvalidQuery, lower(&message)),
        other => Error::new(Code::Internal, lower(&other.strip_backtrace())),
    }
}

/// An error that several parts of a plan share cannot be taken apart; what is inside is looked for by reference.
fn of_shared(error: &DataFusionError) -> Error {
    match error.find_root() {
        DataFusionError::ResourcesExhausted(message) => of_resources(message),
        DataFusionError::External(inner) => match inner.downcast_ref::<Error>() {
            Some(inner) => {
                let mut copy = Error::new(inner.code, inner.message.clone());
                copy.at.clone_from(&inner.at);
                copy.object.clone_from(&inner.object);
                copy.help.clone_from(&inner.help);
                copy
            }
            None => Error::new(Code::Internal, lower(&inner.to_string())),
        },
        DataFusionError::ArrowError(inner, _) => out_of_range(inner),
        DataFusionError::ParquetError(inner) => {
            Error::new(Code::BadObject, format!("a Parquet object cannot be read: {inner}"))
        }
        DataFusionError::ObjectStore(inner) => {
            let code = match inner.as_ref() {
                object_store::Error::NotFound { .. } => Code::ObjectGone,
                object_store::Error::Precondition { .. } => Code::ObjectChanged,
                _ => Code::Storage,
            };
            Error::new(code, lower(&inner.to_string()))
        }
        other => Error::new(Code::ValueOutOfRange, lower(&other.strip_backtrace())),
    }
}

fn of_arrow(error: ArrowError) -> Error {
    match error {
        ArrowError::IoError(_, inner) => of_io(Box::new(inner)),
        ArrowError::ParquetError(message) => {
            Error::new(Code::BadObject, format!("a Parquet object cannot be read: {message}"))
        }
        other => out_of_range(&other),
    }
}

fn out_of_range(error: &ArrowError) -> Error {
    let message = match error {
        // Without the kind of the error, which says nothing to a reader.
        ArrowError::CastError(message)
        | ArrowError::ComputeError(message)
        | ArrowError::ArithmeticOverflow(message) => message.clone(),
        other => other.to_string(),
    };
    Error::new(Code::ValueOutOfRange, lower(&message))
        .help("guard the expression with TRY_CAST or NULLIF, or mend the data")
}

fn of_resources(message: &str) -> Error {
    tracing::debug!("no room is left: {message}");
    let reserver = message.split_whitespace().find_map(|word| word.split_once('[').map(|(name, _)| name));
    let part = match reserver {
        Some("HashJoinInput") => "the smaller side of a join, which is held whole",
        Some(name) if name.starts_with("ExternalSorter") => "a sort",
        Some(name) if name.contains("Aggregate") => "an aggregate",
        Some(name) => name,
        None => "it",
    };
    Error::new(Code::OutOfMemory, format!("the query needs more memory than its limit: no room is left for {part}"))
        .help("raise `--memory`, or filter earlier in the query")
        .because(message.to_owned())
}

fn of_io(error: Box<dyn std::error::Error + Send + Sync>) -> Error {
    let code = match io_kind(error.as_ref()) {
        Some(std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded) => {
            return Error::new(Code::DiskFull, "no space is left for temporary files")
                .help("free some space there, or name another folder with `--temp`")
                .because(error);
        }
        Some(std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem) => Code::PermissionDenied,
        _ => Code::Storage,
    };
    Error::new(code, lower(&error.to_string())).because(error)
}

/// A library's message as ours begin.
fn lower(message: &str) -> String {
    let first_line = message.lines().next().unwrap_or_default().trim();
    // An abbreviation, as in `IO error`, stays as it is.
    if first_line.chars().nth(1).is_some_and(char::is_uppercase) {
        return first_line.to_owned();
    }
    let mut characters = first_line.chars();
    characters.next().map(|first| first.to_lowercase().chain(characters).collect()).unwrap_or_default()
}
