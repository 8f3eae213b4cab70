//! Announcing on the event bus: what happened as entries, and the entries to the bus.

use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use serde::Serialize;
use std::time::Duration;
use transform::{Code, Error, Kind, Receipt, Result, TableChange, TableName};

use crate::event::own::{
    Arrival, CATALOG_UPDATED, CatalogUpdated, ColumnAdded, ColumnChanged, Cost, RunFailed, RunSucceeded, SOURCE,
    TRANSFORM_FAILED, TRANSFORM_SUCCEEDED, VERSION,
};
use crate::unannounced::unannounced;

/// Bytes of an entry at most, with room for what the bus adds: some consumers still have 256 KB.
const ENTRY_BYTES: usize = 200 << 10;
/// Bytes of the receipts in an answer at most.
const ANSWER_BYTES: usize = 5 << 20;
/// Entries in a request, and their bytes together.
const ENTRIES: usize = 10;
const REQUEST_BYTES: usize = 240 << 10;
/// Elements of the lists of a receipt that an event holds.
const LISTED: usize = 100;
/// Tries for entries that the bus does not take, and the first pause between them.
const TRIES: u32 = 4;
const PAUSE: Duration = Duration::from_millis(100);

/// An event before it is put on the bus.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its kind.
    pub detail_type: &'static str,
    /// JSON.
    pub detail: String,
}

impl Entry {
    fn new(detail_type: &'static str, detail: &impl Serialize) -> Result<Self> {
        let detail = serde_json::to_string(detail).map_err(|error| Error::new(Code::Internal, error.to_string()))?;
        Ok(Self { detail_type, detail })
    }

    fn bytes(&self) -> usize {
        self.detail.len() + self.detail_type.len() + SOURCE.len()
    }
}

/// What is new about a table: in as many entries as it takes.
///
/// # Errors
/// [`Code::Internal`].
pub fn catalog_updated(table: &TableName, change: Option<&TableChange>, arrivals: Vec<Arrival>) -> Result<Vec<Entry>> {
    let mut update = CatalogUpdated {
        version: VERSION,
        table: table.clone(),
        created: change.is_some_and(|change| change.created),
        columns_added: change.map(columns_added).unwrap_or_default(),
        columns_changed: change.map(columns_changed).unwrap_or_default(),
        partitions_added: change.map(|change| change.partitions_added.clone()).unwrap_or_default(),
        arrivals: Vec::new(),
        findings: Vec::new(),
    };
    let findings = change.iter().flat_map(|change| &change.findings).map(serde_json::to_value);
    update.findings =
        findings.collect::<Result<_, _>>().map_err(|error| Error::new(Code::Internal, error.to_string()))?;
    let mut entries = Vec::new();
    split(&update, arrivals, &mut entries)?;
    Ok(entries)
}

fn columns_added(change: &TableChange) -> Vec<ColumnAdded> {
    let added =
        |column: &transform::Column| ColumnAdded { name: column.name.clone(), hive_type: column.hive_type.to_string() };
    change.columns_added.iter().map(added).collect()
}

/// The differences of a table. That a new table has its columns is no news.
fn columns_changed(change: &TableChange) -> Vec<ColumnChanged> {
    let changed = |change: &transform::ColumnChange| ColumnChanged {
        column: change.column.clone(),
        kind: change.kind.name().to_owned(),
        old: change.old.as_ref().map(ToString::to_string),
        new: change.new.as_ref().map(ToString::to_string),
        sample: change.sample.clone(),
        object: change.object.clone(),
        applied: change.applied,
    };
    change.columns_changed.iter().map(changed).collect()
}

/// Halves what does not fit into an entry. What is not an arrival is said in the first entry, cut to what fits.
fn split(update: &CatalogUpdated, mut arrivals: Vec<Arrival>, entries: &mut Vec<Entry>) -> Result<()> {
    let whole = CatalogUpdated { arrivals: arrivals.clone(), ..update.clone() };
    let entry = Entry::new(CATALOG_UPDATED, &whole)?;
    if entry.bytes() <= ENTRY_BYTES {
        entries.push(entry);
        return Ok(());
    }
    if arrivals.len() <= 1 {
        let mut update = update.clone();
        update.partitions_added.truncate(update.partitions_added.len() / 2);
        update.findings.truncate(update.findings.len() / 2);
        update.columns_added.truncate(update.columns_added.len() / 2);
        update.columns_changed.truncate(update.columns_changed.len() / 2);
        return split(&update, arrivals, entries);
    }
    let second = arrivals.split_off(arrivals.len() / 2);
    split(update, arrivals, entries)?;
    let rest = CatalogUpdated {
        created: false,
        columns_added: Vec::new(),
        columns_changed: Vec::new(),
        partitions_added: Vec::new(),
        findings: Vec::new(),
        ..update.clone()
    };
    split(&rest, second, entries)
}

/// Receipts of which an answer can hold all: Lambda takes 6 MB. Their lists are cut as far as it needs; the ledger has them whole.
///
/// # Errors
/// [`Code::Internal`].
pub fn shortened(mut receipts: Vec<Receipt>) -> Result<Vec<Receipt>> {
    let bytes = |receipts: &Vec<Receipt>| {
        let text = serde_json::to_string(receipts).map_err(|error| Error::new(Code::Internal, error.to_string()))?;
        Ok::<_, Error>(text.len())
    };
    let longest = |receipt: &Receipt| receipt.inputs.len().max(receipt.partitions.len()).max(receipt.superseded.len());
    let mut most = receipts.iter().map(longest).max().unwrap_or(0);
    while most > 0 && bytes(&receipts)? > ANSWER_BYTES {
        most /= 2;
        receipts.iter_mut().for_each(|receipt| cut(receipt, most));
    }
    Ok(receipts)
}

fn cut(receipt: &mut Receipt, most: usize) {
    receipt.inputs.truncate(most);
    receipt.partitions.truncate(most);
    receipt.superseded.truncate(most);
}

/// A run that readers see. The lists of its receipt are cut to what an event holds.
///
/// # Errors
/// [`Code::Internal`].
pub fn succeeded(mut receipt: Receipt, cost: Option<Cost>) -> Result<Entry> {
    let (inputs, partitions) = (receipt.inputs.len(), receipt.partitions.len());
    let mut most = LISTED;
    loop {
        cut(&mut receipt, most);
        let detail = RunSucceeded {
            version: VERSION,
            inputs_total: Some(inputs as u64),
            partitions_total: Some(partitions as u64),
            receipt: receipt.clone(),
            cost: cost.clone(),
        };
        let entry = Entry::new(TRANSFORM_SUCCEEDED, &detail)?;
        if entry.bytes() <= ENTRY_BYTES || most == 0 {
            return Ok(entry);
        }
        most /= 2;
    }
}

/// A run that failed; `trigger` says what it was for.
///
/// # Errors
/// [`Code::Internal`].
pub fn failed(error: &Error, at: String, trigger: serde_json::Value) -> Result<Entry> {
    let kind = match error.kind() {
        Kind::Project => "project",
        Kind::Data => "data",
        Kind::Retry => "retry",
        Kind::Environment => "environment",
        Kind::Internal => "internal",
    };
    let detail = RunFailed {
        version: VERSION,
        transform: error.transform.clone(),
        error: serde_json::to_value(error).map_err(|error| Error::new(Code::Internal, error.to_string()))?,
        kind: Some(kind.to_owned()),
        at: Some(at),
        trigger: Some(trigger),
    };
    Entry::new(TRANSFORM_FAILED, &detail)
}

/// The event bus.
#[derive(Debug, Clone)]
pub struct Bus {
    client: aws_sdk_eventbridge::Client,
    name: String,
}

impl Bus {
    /// A bus by its name.
    pub fn new(client: aws_sdk_eventbridge::Client, name: String) -> Self {
        Self { client, name }
    }

    /// Puts entries on the bus; those that it does not take are tried again.
    ///
    /// # Errors
    /// [`Code::Unannounced`] and [`Code::PermissionDenied`]: what was taken is not put again by this call.
    pub async fn put(&self, entries: Vec<Entry>) -> Result<()> {
        for request in requests(entries) {
            self.put_request(request).await?;
        }
        Ok(())
    }

    async fn put_request(&self, mut entries: Vec<Entry>) -> Result<()> {
        let mut pause = PAUSE;
        for attempt in 1.. {
            let sent = entries.iter().map(|entry| {
                PutEventsRequestEntry::builder()
                    .event_bus_name(&self.name)
                    .source(SOURCE)
                    .detail_type(entry.detail_type)
                    .detail(&entry.detail)
                    .build()
            });
            let put = self.client.put_events().set_entries(Some(sent.collect())).send().await;
            let put = put.map_err(|error| unannounced(&format!("the event bus `{}`", self.name), error))?;
            if put.failed_entry_count() == 0 {
                return Ok(());
            }
            // The answer has one result for each entry, in their order.
            let results = put.entries();
            let refused = results
                .iter()
                .find_map(|result| Some((result.error_code()?, result.error_message().unwrap_or_default())));
            let (code, message) = refused.unwrap_or_default();
            if attempt >= TRIES {
                let message = format!("the event bus `{}` did not take an event: {code}: {message}", self.name);
                return Err(Error::new(Code::Unannounced, message).help("it is sent again with the next try"));
            }
            let is_refused = |index: usize| results.get(index).is_none_or(|result| result.error_code().is_some());
            let mut index = 0;
            entries.retain(|_| {
                index += 1;
                is_refused(index - 1)
            });
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        Ok(())
    }
}

/// Entries as requests take them.
fn requests(entries: Vec<Entry>) -> Vec<Vec<Entry>> {
    let mut requests: Vec<Vec<Entry>> = Vec::new();
    let mut bytes = 0;
    for entry in entries {
        let size = entry.bytes();
        match requests.last_mut() {
            Some(request) if request.len() < ENTRIES && bytes + size <= REQUEST_BYTES => {
                bytes += size;
                request.push(entry);
            }
            _ => {
                bytes = size;
                requests.push(vec![entry]);
            }
        }
    }
    requests
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn arrivals(count: usize) -> Vec<Arrival> {
        let arrival =
            |n| Arrival { object: format!("s3://landing/raw/t/{n:0200}"), etag: None, version: None, bytes: Some(1) };
        (0..count).map(arrival).collect()
    }

    #[test]
    fn many_arrivals_are_split_and_none_is_lost() {
        let table = TableName::new("raw", "t").unwrap();
        let entries = catalog_updated(&table, None, arrivals(3000)).unwrap();
        assert!(entries.len() > 2 && entries.iter().all(|entry| entry.bytes() <= ENTRY_BYTES));
        let read =
            entries.iter().flat_map(|entry| serde_json::from_str::<CatalogUpdated>(&entry.detail).unwrap().arrivals);
        assert_eq!(read.collect::<Vec<_>>(), arrivals(3000));
        let requests = requests(entries);
        assert!(requests.iter().all(|request| request.iter().map(Entry::bytes).sum::<usize>() <= REQUEST_BYTES));
    }

    #[test]
    fn an_answer_holds_all_receipts_with_shorter_lists() {
        let receipt = |inputs: usize| -> Receipt {
            let inputs: Vec<_> =
                (0..inputs).map(|n| json!({"object": format!("s3://l/{n:0200}"), "bytes": 1})).collect();
            serde_json::from_value(json!({"run_id": "r", "transform": "a.b", "file": "sql/a/b.sql", "write": "append",
                "at": "2026-11-25T00:00:00Z", "inputs": inputs, "rows_read": 1, "rows": 1, "files": 1, "bytes": 1,
                "partitions": [], "seconds": 1.0, "peak_memory": 1}))
            .unwrap()
        };
        let few = vec![receipt(3), receipt(0)];
        assert_eq!(shortened(few.clone()).unwrap(), few);
        let many = shortened(vec![receipt(50_000), receipt(3)]).unwrap();
        assert!(serde_json::to_string(&many).unwrap().len() <= ANSWER_BYTES);
        assert_eq!(many[0].inputs.len(), 12_500);
        assert_eq!(many[1], receipt(3));
    }

    #[test]
    fn ten_entries_are_a_request() {
        let entry = Entry { detail_type: TRANSFORM_FAILED, detail: "{}".to_owned() };
        let lengths: Vec<_> = requests(vec![entry; 21]).iter().map(Vec::len).collect();
        assert_eq!(lengths, [10, 10, 1]);
    }
}
