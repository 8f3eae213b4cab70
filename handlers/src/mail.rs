//! What people read: subjects and texts of messages, made for the screen of a phone.

use serde_json::Value;

use crate::event::own::ColumnChanged;
use crate::event::{CatalogUpdated, RunFailed, RunSucceeded};
use crate::words::{bytes, count};

/// Characters of a subject: what SNS takes for an e-mail.
const SUBJECT: usize = 100;
/// Bytes of a text: what an e-mail by SNS holds, with room to spare.
const TEXT: usize = 200 << 10;
/// Things that a list names before it only counts.
const LISTED: usize = 10;

/// A message for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// Subject, ASCII on one line.
    pub subject: String,
    /// Text.
    pub text: String,
    /// For filter policies: `event`, `status`, `table`, `database`.
    pub attributes: Vec<(&'static str, String)>,
}

impl Mail {
    fn new(subject: &str, lines: &[String], status: &str, event: &str, table: Option<&str>) -> Self {
        // SNS refuses other characters in a subject.
        let ascii = |c: char| if c.is_ascii() && !c.is_ascii_control() { c } else { '?' };
        let subject: String = subject.chars().map(ascii).take(SUBJECT).collect();
        let mut text = lines.join("\n");
        if text.len() > TEXT {
            text.truncate((0..=TEXT).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0));
        }
        let mut attributes = vec![("event", event.to_owned()), ("status", status.to_owned())];
        if let Some(table) = table {
            attributes.push(("table", table.to_owned()));
            attributes.extend(table.split_once('.').map(|(database, _)| ("database", database.to_owned())));
        }
        Self { subject, text, attributes }
    }
}

/// A run that succeeded.
pub fn succeeded(run: &RunSucceeded) -> Mail {
    let receipt = &run.receipt;
    let table = receipt.transform.to_string();
    let inputs = run.inputs_total.unwrap_or(receipt.inputs.len() as u64);
    let partitions = run.partitions_total.unwrap_or(receipt.partitions.len() as u64);
    let rows = count(receipt.rows, "row");
    let mut lines = vec![
        format!("{table} has {rows} more or anew, from {}.", count(inputs, "object")),
        String::new(),
        format!("how      {}", spelled(&serde_json::to_value(receipt.write).unwrap_or_default())),
        format!("wrote    {} in {}", count(receipt.files, "file"), bytes(receipt.bytes)),
        format!("took     {:.1} s", receipt.seconds),
    ];
    if let Some(cost) = &run.cost {
        lines.push(format!("cost     ${:.6} ({:.2} GB-seconds)", cost.usd, cost.gb_seconds));
    }
    let is_partitioned = receipt.partitions.iter().any(|partition| !partition.values.is_empty());
    if is_partitioned {
        lines.push(String::new());
        lines.push(format!("{}:", count(partitions, "partition")));
        for partition in receipt.partitions.iter().take(LISTED) {
            let values =
                partition.values.iter().map(|(key, value)| format!("{key}={}", value.as_deref().unwrap_or("NULL")));
            lines.push(format!("  {}  {}", values.collect::<Vec<_>>().join(" "), count(partition.rows, "row")));
        }
        lines.extend(more(partitions));
    }
    if let Some(quarantine) = &receipt.quarantine {
        lines.push(String::new());
        lines.push(format!("left out, because they cannot be read: {}", count(receipt.rejected, "record")));
        lines.push(format!("  {quarantine}"));
    }
    if !receipt.superseded.is_empty() {
        lines.push(String::new());
        lines.push("left out, because deleted or replaced before they were read:".to_owned());
        lines.extend(receipt.superseded.iter().take(LISTED).map(|object| format!("  {object}")));
        lines.extend(more(receipt.superseded.len() as u64));
    }
    lines.push(String::new());
    lines.push(format!("run {}, {}", receipt.run_id, receipt.file));
    Mail::new(&format!("{table}: {rows}"), &lines, "succeeded", "Transform Succeeded", Some(&table))
}

/// A run that failed.
pub fn failed(run: &RunFailed) -> Mail {
    let what = run.transform.as_deref().unwrap_or("the project");
    let said = |field: &str| run.error.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let code = said("code");
    let mut lines = vec![format!("{what} was not brought up to date: {}.", said("message")), String::new()];
    let number = |place: &Value, field: &str| place.get(field).and_then(Value::as_u64);
    if let Some(place) = run.error.get("at").filter(|place| place.is_object()) {
        let file = place.get("file").and_then(Value::as_str).unwrap_or_default();
        let line = number(place, "line").unwrap_or_default();
        lines.push(format!("where    {file}:{line}:{}", number(place, "column").unwrap_or_default()));
        lines.extend(place.get("text").and_then(Value::as_str).map(|text| format!("         {}", text.trim())));
    }
    if let Some(place) = run.error.get("object").filter(|place| place.is_object()) {
        let object = place.get("object").and_then(Value::as_str).unwrap_or_default();
        let line = number(place, "line").map(|line| format!(":{line}")).unwrap_or_default();
        lines.push(format!("where    {object}{line}"));
    }
    let help = said("help");
    if !help.is_empty() {
        lines.push(format!("mend     {help}"));
    }
    lines.push(format!("code     {code} (`unglue explain {code}`)"));
    lines.push(String::new());
    lines.push(retry(run.kind.as_deref()).to_owned());
    lines.extend(run.at.as_ref().map(|at| format!("\nat {at}")));
    Mail::new(&format!("{what} FAILED: {code}"), &lines, "failed", "Transform Failed", run.transform.as_deref())
}

/// How a failed run is done again.
fn retry(kind: Option<&str>) -> &'static str {
    match kind {
        Some("data") => {
            "Correct the object and upload it again: that is all. Or start a redrive of the dead-letter queue once it can be read as it is."
        }
        Some("project") => {
            "Correct the file, deploy it with `unglue deploy-sql`, and start a redrive of the dead-letter queue."
        }
        Some("environment") => {
            "Mend what is named. The message is tried again by itself; what the queue has given up on is in its dead-letter queue."
        }
        _ => "The message is tried again by itself; what the queue has given up on is in its dead-letter queue.",
    }
}

/// News of a table that people want to hear of: a new table, changed columns, findings. `None` if objects arrived, and no more.
pub fn catalog_updated(update: &CatalogUpdated) -> Option<Mail> {
    let changed: Vec<&ColumnChanged> = update.columns_changed.iter().filter(|change| change.applied).collect();
    let is_changed = !changed.is_empty() || !update.columns_added.is_empty();
    if !update.created && !is_changed && update.findings.is_empty() {
        return None;
    }
    let table = update.table.to_string();
    let (subject, first) = if update.created {
        (format!("{table}: new table"), format!("The table {table} is new in the catalog."))
    } else if !update.columns_added.is_empty() {
        (
            format!("{table}: new columns"),
            format!("The table {table} has {} more.", count(update.columns_added.len() as u64, "column")),
        )
    } else if is_changed {
        (format!("{table}: changed columns"), format!("Columns of the table {table} have another type."))
    } else {
        (format!("{table}: findings"), format!("Something about {table} needs a look."))
    };
    let mut lines = vec![first];
    if !update.columns_added.is_empty() {
        lines.push(String::new());
        lines.extend(update.columns_added.iter().map(|column| format!("  {}  {}", column.name, column.hive_type)));
    }
    for change in changed {
        lines.push(String::new());
        lines.push(in_words(change));
        lines.push(format!("where    {}", change.object));
    }
    for finding in update.findings.iter().take(LISTED) {
        let said = |field: &str| finding.get(field).and_then(Value::as_str).unwrap_or_default();
        lines.push(String::new());
        lines.push(said("message").to_owned());
        let object = finding.get("object").and_then(|place| place.get("object")).and_then(Value::as_str);
        lines.extend(object.map(|object| format!("where    {object}")));
        lines.push(format!("mend     {}", said("help")));
    }
    let status = if update.findings.is_empty() { "changed" } else { "findings" };
    Some(Mail::new(&subject, &lines, status, "Catalog Updated", Some(&table)))
}

/// A change of a column as a sentence.
fn in_words(change: &ColumnChanged) -> String {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let (column, old, new) = (&change.column, text(&change.old), text(&change.new));
    let because = change.sample.as_ref().map(|value| format!(", because of the value {value}")).unwrap_or_default();
    match change.kind.as_str() {
        "added" => format!("{column} is new{because}. Older objects have NULL there."),
        "widened" => format!("{column} was {old}, and is {new} now{because}. Queries that need {old} must cast it."),
        "decided" => format!("{column} is {new}: until now it had no value from which its type could be told."),
        kind => format!("{column}: {kind}{because}."),
    }
}

/// One message for many: failures first and whole, the others one line each.
pub fn digest(mails: &[Mail]) -> Mail {
    let is_failed = |mail: &&Mail| mail.attributes.contains(&("status", "failed".to_owned()));
    let (failed, others): (Vec<&Mail>, Vec<&Mail>) = mails.iter().partition(is_failed);
    let mut lines = Vec::new();
    for mail in &failed {
        lines.extend([mail.subject.clone(), mail.text.clone(), String::new(), "-----".to_owned(), String::new()]);
    }
    lines.extend(others.iter().map(|mail| mail.subject.clone()));
    let subject = match failed.len() {
        0 => format!("{} messages", mails.len()),
        failures => format!("{failures} of {} FAILED", mails.len()),
    };
    let status = if failed.is_empty() { "succeeded" } else { "failed" };
    Mail::new(&subject, &lines, status, "Digest", None)
}

fn more(all: u64) -> Option<String> {
    (all > LISTED as u64).then(|| format!("  and {} more", all - LISTED as u64))
}

fn spelled(value: &Value) -> String {
    value.as_str().unwrap_or_default().replace('_', " ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn run() -> RunSucceeded {
        serde_json::from_value(json!({
            "version": 1,
            "receipt": {
                "run_id": "20261125t040000z-0123456789ab", "transform": "sales.orders_daily",
                "file": "sql/sales/orders_daily.sql", "write": "append", "at": "2026-11-25T04:00:00Z",
                "inputs": [{"object": "s3://landing/raw/orders/1.csv", "bytes": 5}],
                "rows_read": 1_234_567, "rows": 1_234_567, "files": 2, "bytes": 3_400_000,
                "partitions": [
                    {"values": {"order_date": "2026-11-24"}, "location": "s3://lake/x/", "files": 1, "rows": 1, "bytes": 9},
                    {"values": {"order_date": null}, "location": "s3://lake/y/", "files": 1, "rows": 1_234_566, "bytes": 9},
                ],
                "seconds": 1.25, "peak_memory": 1,
            },
            "partitions_total": 12,
            "cost": {"gb_seconds": 2.21, "usd": 0.0000368},
        }))
        .unwrap()
    }

    #[test]
    fn a_run_in_words() {
        insta::assert_snapshot!(shown(&succeeded(&run())));
    }

    #[test]
    fn a_failure_in_words() {
        let of_sql = json!({"version": 1, "transform": "sales.orders_daily", "kind": "project", "at": "2026-11-25T04:00:00Z",
            "error": {"code": "unknown-column", "message": "`custmer_id` is not a column of `raw.orders`",
                "at": {"file": "sql/sales/orders_daily.sql", "line": 12, "column": 7, "length": 12, "text": "      o.custmer_id,"},
                "help": "did you mean `customer_id`?"}});
        let of_data = json!({"version": 1, "transform": "sales.orders_daily", "kind": "data",
            "error": {"code": "bad-record", "message": "`x` is not a bigint",
                "object": {"object": "s3://landing/raw/orders/ü.csv", "line": 7}}});
        let mails = [of_sql, of_data].map(|detail| failed(&serde_json::from_value(detail).unwrap()));
        insta::assert_snapshot!(mails.iter().map(shown).collect::<Vec<_>>().join("\n=====\n"));
        insta::assert_snapshot!("digest", shown(&digest(&[mails[0].clone(), succeeded(&run())])));
    }

    #[test]
    fn a_changed_schema_in_words() {
        let update = |detail| serde_json::from_value::<CatalogUpdated>(detail).unwrap();
        let plain =
            json!({"version": 1, "table": "raw.orders", "arrivals": [{"object": "s3://landing/raw/orders/1.csv"}]});
        assert_eq!(catalog_updated(&update(plain)), None);
        let changed = json!({"version": 1, "table": "raw.orders", "columns_added": [{"name": "note", "type": "string"}],
            "columns_changed": [
                {"column": "note", "kind": "added", "new": "string", "object": "s3://landing/raw/orders/1.csv", "applied": true},
                {"column": "amount", "kind": "widened", "old": "bigint", "new": "double", "sample": "2.5", "object": "s3://landing/raw/orders/1.csv", "applied": true},
                {"column": "day", "kind": "missing", "old": "date", "object": "s3://landing/raw/orders/1.csv", "applied": false}],
            "findings": [{"code": "bad-object", "message": "the gzip data ends too early", "help": "upload the object again",
                "object": {"object": "s3://landing/raw/orders/2.csv.gz", "line": null}}]});
        insta::assert_snapshot!(shown(&catalog_updated(&update(changed)).unwrap()));
    }

    #[test]
    fn subjects_are_what_sns_takes() {
        let mail = Mail::new(&format!("ü\n{}", "x".repeat(200)), &[], "", "", None);
        assert!(mail.subject.starts_with("??xxx") && mail.subject.len() == SUBJECT);
    }

    fn shown(mail: &Mail) -> String {
        let attributes: Vec<String> = mail.attributes.iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("{}\n[{}]\n\n{}", mail.subject, attributes.join(" "), mail.text)
    }
}
