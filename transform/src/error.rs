//! What went wrong, where, and what the reader can do about it.
//!
//! One [`Error`] type serves the whole engine. Its [`Code`](crate::Code) is stable and documented by `unglue explain`;
//! its place is either a position in the user's project ([`Location`]) or a line of an input object ([`ObjectLine`]).

use std::{fmt, io};

use crate::code::{Code, Kind};

/// `Result` with the engine's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A position in a file of the user's project. Lines and columns are 1-based; columns and lengths count characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Location {
    /// Path of the file as the user knows it, for example `sql/sales/orders_daily.sql`.
    pub file: String,
    /// 1-based line.
    pub line: usize,
    /// 1-based column, in characters.
    pub column: usize,
    /// Number of characters to underline, at least 1 and never past the end of the line.
    pub length: usize,
    /// The whole line, without its line break, so that a diagnostic can be drawn without reading the file again.
    pub text: String,
}

/// A place in an input object.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ObjectLine {
    /// The object: a URL, or a path on a local disk.
    pub object: String,
    /// 1-based line of a text format, where it is known.
    pub line: Option<u64>,
}

/// An error that names what it is about and says what to do.
///
/// The message is lowercase, without full stop.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub struct Error {
    /// Stable code; `unglue explain CODE` tells more.
    pub code: Code,
    /// What is wrong, with the names and values involved.
    pub message: String,
    /// Where in the project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Location>,
    /// Where in the data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<ObjectLine>,
    /// The transform that was being checked or run, `database.table`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transform: Option<String>,
    /// The way out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// What another library said.
    #[serde(skip)]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error with a code and a message.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), at: None, object: None, transform: None, help: None, source: None }
    }

    /// The same error once more, without what another library said: one failure may be told in several places.
    #[must_use]
    pub fn copy(&self) -> Self {
        Self {
            code: self.code,
            message: self.message.clone(),
            at: self.at.clone(),
            object: self.object.clone(),
            transform: self.transform.clone(),
            help: self.help.clone(),
            source: None,
        }
    }

    /// Adds the position in the project.
    #[must_use]
    pub fn at(mut self, location: Location) -> Self {
        self.at = Some(location);
        self
    }

    /// Adds the position in the project, where there is one.
    #[must_use]
    pub fn maybe_at(mut self, location: Option<Location>) -> Self {
        self.at = location.or(self.at);
        self
    }

    /// Adds the object, and the line where it is known.
    #[must_use]
    pub fn in_object(mut self, object: impl fmt::Display, line: Option<u64>) -> Self {
        self.object = Some(ObjectLine { object: object.to_string(), line });
        self
    }

    /// Adds the object and the line, unless an object is named already.
    #[must_use]
    pub(crate) fn within(self, object: impl fmt::Display, line: Option<u64>) -> Self {
        if self.object.is_some() { self } else { self.in_object(object, line) }
    }

    /// An error of ours that passed through a decoder as its reader's; or else that error.
    pub(crate) fn passed_through(error: io::Error) -> std::result::Result<Self, io::Error> {
        if !error.get_ref().is_some_and(|inner| inner.is::<Self>()) {
            return Err(error);
        }
        error.downcast::<Self>()
    }

    /// Adds the transform, unless one is named already.
    #[must_use]
    pub fn in_transform(mut self, transform: impl fmt::Display) -> Self {
        self.transform.get_or_insert_with(|| transform.to_string());
        self
    }

    /// Adds the way out.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What the reader must do, by the error's code.
    pub fn kind(&self) -> Kind {
        self.code.kind()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)?;
        if let Some(at) = &self.at {
            write!(f, " ({}:{}:{})", at.file, at.line, at.column)?;
        }
        if let Some(place) = &self.object {
            match place.line {
                Some(line) => write!(f, " ({}:{line})", place.object)?,
                None => write!(f, " ({})", place.object)?,
            }
        }
        if let Some(transform) = &self.transform {
            write!(f, " in {transform}")?;
        }
        if let Some(help) = &self.help {
            write!(f, "; {help}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
