//! Settings that belong to the language but are not built into this version: refused, never ignored.

use crate::code::Code;
use crate::error::{Error, Location};
use crate::header::keys::Key;

/// The refusal of a legal setting that nothing implements yet; `value` is a choice word in lower case, or a list.
pub(crate) fn refusal(key: Key, value: &str, at: &Location) -> Option<Error> {
    let help = match (key, value) {
        (Key::Unique, _) => "remove it; `@not_null` and `@assert` check single rows",
        (Key::AssertTable, _) => "remove it; `@assert` checks single rows",
        (Key::OnViolation, "quarantine" | "warn") => "use `fail`, the default",
        (Key::Dialect, "spark") => "use `datafusion`, the default",
        (Key::Engine, "ballista") => "use `auto`, the default",
        _ => return None,
    };
    let setting = match key {
        Key::Unique | Key::AssertTable => format!("`@{key}`"),
        _ => format!("`@{key}: {value}`"),
    };
    let message = format!("{setting} is not built into this version yet");
    Some(Error::new(Code::NotSupported, message).at(at.clone()).help(help))
}
