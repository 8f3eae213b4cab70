//! Results on stdout, everything else on stderr.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;
use transform::{Code, Error, Result};

use crate::diagnostic;

/// Where text goes. A reader who has gone away (`unglue … | head`) is not an error.
pub(crate) struct Screen {
    json: bool,
    colour: bool,
}

impl Screen {
    pub(crate) fn new(json: bool) -> Self {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { json, colour: io::stderr().is_terminal() && !unwanted }
    }

    /// Whether results are printed as JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// A line of a result.
    pub(crate) fn line(&mut self, text: impl AsRef<str>) {
        let _ = writeln!(io::stdout(), "{}", text.as_ref());
    }

    /// A line about what is going on.
    pub(crate) fn note(&mut self, text: impl AsRef<str>) {
        let _ = writeln!(io::stderr(), "{}", text.as_ref());
    }

    /// A result as JSON.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> Result<()> {
        let text =
            serde_json::to_string_pretty(value).map_err(|error| Error::new(Code::Internal, error.to_string()))?;
        self.line(text);
        Ok(())
    }

    /// Errors as people read them, on stderr.
    pub(crate) fn errors<'a>(&mut self, errors: impl IntoIterator<Item = &'a Error>) {
        for error in errors {
            self.note(format!("{}\n", diagnostic::render(error, self.colour)));
        }
    }
}
