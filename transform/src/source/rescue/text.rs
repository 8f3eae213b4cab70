//! CSV and JSON of tables that keep what fits no column: every record is looked at.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, StringArray, new_null_array};
use arrow::compute::{concat, concat_batches, nullif};
use arrow::datatypes::{DataType, Field, Schema};
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use object_store::{ObjectMeta, ObjectStore};
use serde_json::Value;
use serde_json::value::RawValue;

use super::{as_json, internal, members, object, url};
use crate::error::Result;
use crate::format::Format;
use crate::hive::HiveType;
use crate::schema_change::RESCUED;
use crate::source::careful::{Bad, Careful, Record, Sifted};
use crate::source::reader::ObjectReader;
use crate::table::{Column, Table};

/// The members of a JSON object as they are written.
type Members<'a> = BTreeMap<String, &'a RawValue>;

/// Rows of all of the table's columns but the one that keeps what fits none, which is the last; and the records that are none.
struct Rescued {
    batch: RecordBatch,
    kept: ArrayRef,
    bad: Vec<Bad>,
}

/// Batches of the wanted columns of one object.
///
/// # Errors
/// What the storage did not do, and what is wrong with the object as a whole.
pub(in crate::source) async fn read(
    reader: &Arc<ObjectReader>,
    store: &Arc<dyn ObjectStore>,
    meta: &ObjectMeta,
) -> Result<BoxStream<'static, Result<RecordBatch>>> {
    let wanted = Arc::clone(&reader.wanted);
    let url = url(&reader.table.location, &meta.location);
    let columns: Vec<Column> = reader.table.columns.iter().filter(|column| column.name != RESCUED).cloned().collect();
    let all = Arc::new(ObjectReader {
        wanted: Arc::new(Schema::new(crate::source::fields(&columns))),
        table: Arc::new(Table { columns, ..reader.table.as_ref().clone() }),
        keys: Arc::clone(&reader.keys),
        batch_size: reader.batch_size,
        rejects: reader.rejects.clone(),
    });
    let careful = Careful::open(Arc::clone(&all), store, meta).await?;
    Ok(stream::try_unfold(careful, move |mut careful| {
        let (all, wanted, url) = (Arc::clone(&all), Arc::clone(&wanted), url.clone());
        async move {
            let Some(records) = careful.next(all.batch_size).await? else { return Ok(None) };
            let rescued = match all.table.format {
                Format::Csv(_) => csv(&careful, &all, records, &url)?,
                _ => json(&careful, &all, records, &url)?,
            };
            careful.put_aside(rescued.bad)?;
            let columns = wanted.fields().iter().map(|field| match rescued.batch.column_by_name(field.name()) {
                Some(column) => Arc::clone(column),
                None => Arc::clone(&rescued.kept),
            });
            let batch = RecordBatch::try_new(Arc::clone(&wanted), columns.collect()).map_err(internal)?;
            Ok(Some((batch, careful)))
        }
    })
    .boxed())
}

/// Fields that no column is for, and values that their columns cannot hold.
fn csv(careful: &Careful, reader: &Arc<ObjectReader>, records: Vec<Record>, url: &str) -> Result<Rescued> {
    let names = careful.names().unwrap_or_default();
    let is_known = |name: &str| reader.wanted.column_with_name(name).is_some();
    let is_key = |name: &str| reader.table.partition_keys.iter().any(|key| key.name == name);
    let extra = |name: &&String| !is_known(name) && !is_key(name);
    if !names.iter().any(|name| extra(&name))
        && let Some(batches) = careful.sifter(reader).together(&records)?
    {
        let batch = concat_batches(&reader.wanted, &batches).map_err(internal)?;
        let kept = new_null_array(&DataType::Utf8, batch.num_rows());
        return Ok(Rescued { batch, kept, bad: Vec::new() });
    }
    // What are no records at all is told from texts, which every field is.
    let as_text: BTreeMap<&str, Field> =
        names.iter().map(|name| (name.as_str(), Field::new(name, DataType::Utf8, true))).collect();
    let texts = Arc::new(reader.wanting(as_text.into_values().collect()));
    let Sifted { batches, good, bad } = careful.sifter(&texts).sift(records)?;
    let text = concat_batches(&texts.wanted, &batches).map_err(internal)?;
    let (mut columns, mut left) = (Vec::new(), Vec::new());
    for field in reader.wanted.fields() {
        let Some(written) = text.column_by_name(field.name()) else {
            columns.push(new_null_array(field.data_type(), text.num_rows()));
            continue;
        };
        let (column, fits) = typed(careful, reader, field, &good)?;
        columns.push(column);
        if let Some(fits) = fits {
            let rest = nullif(written, &fits).map_err(internal)?;
            left.push((Field::new(field.name(), DataType::Utf8, true), rest));
        }
    }
    for field in texts.wanted.fields().iter().filter(|field| extra(&field.name())) {
        let column = text.column_by_name(field.name()).map(Arc::clone);
        left.extend(column.map(|column| (field.as_ref().clone(), column)));
    }
    let kept = as_json(left, text.num_rows(), url)?;
    let batch = RecordBatch::try_new(Arc::clone(&reader.wanted), columns).map_err(internal)?;
    Ok(Rescued { batch, kept, bad })
}

/// A column of records that can be read as text, and which of its values are of its type unless all are.
fn typed(
    careful: &Careful,
    reader: &Arc<ObjectReader>,
    field: &Field,
    records: &[Record],
) -> Result<(ArrayRef, Option<BooleanArray>)> {
    let only = Arc::new(reader.wanting(vec![field.clone()]));
    let sifter = careful.sifter(&only);
    if let Some(batches) = sifter.together(records)? {
        let batch = concat_batches(&only.wanted, &batches).map_err(internal)?;
        return Ok((Arc::clone(batch.column(0)), None));
    }
    let mut pieces: Vec<ArrayRef> = Vec::with_capacity(records.len());
    let mut fits = Vec::with_capacity(records.len());
    for record in records {
        match sifter.alone(&record.text)? {
            Some(batches) => {
                for batch in batches {
                    fits.extend(std::iter::repeat_n(true, batch.num_rows()));
                    pieces.push(Arc::clone(batch.column(0)));
                }
            }
            None => {
                fits.push(false);
                pieces.push(new_null_array(field.data_type(), 1));
            }
        }
    }
    let pieces: Vec<&dyn Array> = pieces.iter().map(AsRef::as_ref).collect();
    Ok((concat(&pieces).map_err(internal)?, Some(BooleanArray::from(fits))))
}

/// A JSON object: what of it fits the table, and what does not.
struct Divided<'a> {
    /// Which record it is from: a line may have several objects.
    record: usize,
    fitting: Members<'a>,
    left: Members<'a>,
}

/// Keys that no column is for, nested values with more than their columns hold, and values that they cannot hold.
fn json(careful: &Careful, reader: &Arc<ObjectReader>, records: Vec<Record>, url: &str) -> Result<Rescued> {
    let (mut objects, mut reasons) = (Vec::new(), BTreeMap::new());
    for (index, record) in records.iter().enumerate() {
        match divided(&reader.table, index, &record.text) {
            Ok(found) => objects.extend(found),
            Err(reason) => _ = reasons.insert(index, reason),
        }
    }
    let fitting = |objects: &[Divided<'_>]| {
        let texts: Vec<Record> =
            objects.iter().map(|object| of_text((text(&object.fitting) + "\n").into_bytes())).collect();
        careful.sifter(reader).together(&texts)
    };
    let mut batches = fitting(&objects)?;
    if batches.is_none() {
        for object in &mut objects {
            if !without_misfits(careful, reader, object)? {
                reasons.insert(object.record, "the record cannot be read".to_owned());
            }
        }
        objects.retain(|object| !reasons.contains_key(&object.record));
        batches = fitting(&objects)?;
    }
    let batches = batches.ok_or_else(|| internal("objects that can be read alone cannot be read together"))?;
    let batch = concat_batches(&reader.wanted, &batches).map_err(internal)?;
    let kept: StringArray = objects.iter().map(|divided| object(members(&text(&divided.left)), url)).collect();
    let records = records.into_iter().enumerate();
    let bad = records.filter_map(|(index, record)| Some(record.bad(reasons.remove(&index)?))).collect();
    Ok(Rescued { batch, kept: Arc::new(kept), bad })
}

/// The objects of a record, by the names of their keys.
///
/// # Errors
/// Why the record is none.
fn divided<'a>(table: &Table, index: usize, record: &'a [u8]) -> Result<Vec<Divided<'a>>, String> {
    let mut all = Vec::new();
    for members in serde_json::Deserializer::from_slice(record).into_iter::<Members<'a>>() {
        let members = members.map_err(|error| format!("the record is not a JSON object: {error}"))?;
        let (mut fitting, mut left) = (Members::new(), Members::new());
        for (key, value) in members {
            match table.columns.iter().find(|column| column.name == key) {
                Some(column) => {
                    if has_more(value, &column.hive_type) {
                        left.insert(key.clone(), value);
                    }
                    fitting.insert(key, value);
                }
                None if table.partition_keys.iter().any(|partition| partition.name == key) => {}
                None => _ = left.insert(key, value),
            }
        }
        all.push(Divided { record: index, fitting, left });
    }
    Ok(all)
}

/// Moves the members that their columns cannot hold; says whether the others can be read.
fn without_misfits(careful: &Careful, reader: &Arc<ObjectReader>, object: &mut Divided<'_>) -> Result<bool> {
    let can_be_read = |reader: &Arc<ObjectReader>, members: &Members<'_>| {
        careful.sifter(reader).alone(text(members).as_bytes()).map(|batches| batches.is_some())
    };
    if can_be_read(reader, &object.fitting)? {
        return Ok(true);
    }
    for field in reader.wanted.fields() {
        let Some(value) = object.fitting.get(field.name()).copied() else { continue };
        let only = Arc::new(reader.wanting(vec![field.as_ref().clone()]));
        if !can_be_read(&only, &Members::from([(field.name().clone(), value)]))? {
            object.fitting.remove(field.name());
            object.left.insert(field.name().clone(), value);
        }
    }
    can_be_read(reader, &object.fitting)
}

/// A record of what is left of another.
fn of_text(text: Vec<u8>) -> Record {
    Record { line: 0, text, written: None }
}

fn text(members: &Members<'_>) -> String {
    serde_json::to_string(members).unwrap_or_default()
}

/// Whether a nested value has fields that a column of this type does not.
fn has_more(value: &RawValue, hive_type: &HiveType) -> bool {
    fn more(value: &Value, hive_type: &HiveType) -> bool {
        match (hive_type, value) {
            (HiveType::Struct(fields), Value::Object(members)) => members.iter().any(|(key, value)| {
                let field = fields.iter().find(|(name, _)| name == key);
                field.is_none_or(|(_, hive_type)| more(value, hive_type))
            }),
            (HiveType::Array(element), Value::Array(values)) => values.iter().any(|value| more(value, element)),
            (HiveType::Map(_, element), Value::Object(members)) => members.values().any(|value| more(value, element)),
            _ => false,
        }
    }
    hive_type.arrow().is_nested() && serde_json::from_str(value.get()).is_ok_and(|value: Value| more(&value, hive_type))
}
