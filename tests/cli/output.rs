//! What the program printed, without what differs from run to run.

use std::fmt;
use std::path::Path;

use serde_json::Value;

/// What names differ in from run to run: `0` stands for a digit, `f` for a hexadecimal one.
const CHANGING_NAMES: [(&str, &str); 4] = [
    ("part-00000000t000000z-ffffffffffff-ffffffff-0.parquet", "part-[run].parquet"),
    ("00000000t000000z-ffffffffffff", "[run]"),
    ("ffffffffffffffffffffffffffffffff", "[hash]"),
    ("0000-00-00T00:00:00Z", "[time]"),
];

/// JSON fields that differ from run to run.
const CHANGING: [&str; 11] = [
    "at",
    "bytes",
    "ended",
    "estimated_dollars",
    "estimated_memory",
    "estimated_seconds",
    "etag",
    "peak_memory",
    "run_id",
    "seconds",
    "version",
];

/// The whole outcome of one call.
pub(crate) struct Output {
    arguments: Vec<String>,
    /// Exit code; -1 if the program was ended by a signal.
    pub(crate) code: i32,
    /// What a caller would process.
    pub(crate) stdout: String,
    /// What a person would read.
    pub(crate) stderr: String,
}

impl Output {
    pub(crate) fn new(arguments: &[String], output: &std::process::Output, folder: &Path) -> Self {
        let folder = folder.display().to_string();
        let text = |bytes: &[u8]| {
            let text = String::from_utf8(bytes.to_vec()).expect("output is UTF-8");
            steady(&text.replace(&folder, "[project]"))
        };
        Self {
            arguments: arguments
                .iter()
                .map(|argument| without_changing_names(&argument.replace(&folder, "[project]")))
                .collect(),
            code: output.status.code().unwrap_or(-1),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }

    /// Stdout as JSON, as it is.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("stdout is not JSON: {error}\n{self}"))
    }

    /// Stdout as JSON, without the values that differ from run to run.
    pub(crate) fn steady_json(&self) -> String {
        let mut json = self.json();
        redact(&mut json);
        format!("{json:#}")
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let call = format!("$ unglue {}", self.arguments.join(" "));
        writeln!(f, "{}", call.trim_end())?;
        writeln!(f, "exit code {}", self.code)?;
        for (name, text) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !text.is_empty() {
                write!(f, "--- {name}\n{text}")?;
            }
        }
        Ok(())
    }
}

/// Replaces run ids, hashes, seconds, memory, and the sizes of Parquet files.
fn steady(text: &str) -> String {
    let lines = text.split_inclusive('\n').map(|line| {
        let line = without_changing_names(line);
        if line.starts_with("    cost     ") {
            "    cost     [seconds], [memory]\n".to_owned()
        } else if line.starts_with("    about    ") {
            "    about    [seconds], [memory], [dollars] on Lambda (estimates)\n".to_owned()
        } else if line.starts_with("    wrote    ") {
            without_last_part(&line)
        } else if line.starts_with("[time]  [run]") && line.ends_with(" s\n") {
            without_size_and_seconds(&line)
        } else if [" replaced file", " staged file"].iter().any(|files| line.contains(files)) {
            without_sizes(&line)
        } else {
            without_parquet_sizes(&line)
        }
    });
    lines.collect()
}

/// `wrote 3 rows in 1 partition, 1 file, 1.2 kB`: the size depends on the version of the Parquet library.
fn without_last_part(line: &str) -> String {
    match line.rsplit_once(", ") {
        Some((kept, _)) => format!("{kept}, [size]\n"),
        None => line.to_owned(),
    }
}

/// `…: 1 object, 3 rows in 1 partition, 836 B, 0.03 s`
fn without_size_and_seconds(line: &str) -> String {
    match line.rsplitn(3, ", ").last() {
        Some(kept) => format!("{kept}, [size], [seconds]\n"),
        None => line.to_owned(),
    }
}

/// `2 replaced files (1.2 kB)`
fn without_sizes(line: &str) -> String {
    let parts = line.split('(').enumerate().map(|(index, part)| match part.split_once(')') {
        Some((_, after)) if index > 0 => format!("([size]){after}"),
        _ => part.to_owned(),
    });
    parts.collect()
}

/// `sales/orders/part-[run]-….parquet (1.2 kB)`, and sums with such files in them.
fn without_parquet_sizes(line: &str) -> String {
    let found =
        line.split_once("/part-[run]").and_then(|(folder, file)| Some((folder, file.split_once(".parquet")?.1)));
    let Some((folder, after)) = found else { return line.to_owned() };
    match after.strip_prefix(" (").and_then(|size| size.split_once(')')) {
        Some((_, after)) => format!("{folder}/part-[run].parquet ([size]){after}"),
        None => format!("{folder}/part-[run].parquet{after}"),
    }
}

fn without_changing_names(line: &str) -> String {
    let mut text = String::new();
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        let found =
            CHANGING_NAMES.iter().find(|(shape, _)| rest.get(..shape.len()).is_some_and(|name| has(shape, name)));
        let length = match found {
            Some((shape, name)) => {
                text.push_str(name);
                shape.len()
            }
            None => {
                text.push(first);
                first.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    text
}

fn has(shape: &str, name: &str) -> bool {
    name.chars().zip(shape.chars()).all(|(found, wanted)| match wanted {
        '0' => found.is_ascii_digit(),
        'f' => found.is_ascii_hexdigit(),
        other => found == other,
    })
}

fn redact(value: &mut Value) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(redact),
        Value::Object(fields) => {
            for (name, value) in fields {
                // `at` is a time in receipts, and a place in errors.
                if CHANGING.contains(&name.as_str()) && !value.is_object() {
                    *value = Value::String(format!("[{name}]"));
                } else {
                    redact(value);
                }
            }
        }
        _ => {}
    }
}
