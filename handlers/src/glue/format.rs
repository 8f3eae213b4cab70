//! How objects are encoded: SerDes, their parameters, and input and output formats, as Athena understands them.

use std::collections::HashMap;

use aws_sdk_glue::types::{SerDeInfo, StorageDescriptor};
use transform::{Column, CsvOptions, Format, HiveType, JsonOptions};

/// Where the definition of a table has its header.
pub(super) const HEADER_LINES: &str = CsvOptions::HEADER_LINES;

const PARQUET: &str = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe";
const OLD_PARQUET: &str = "parquet.hive.serde.ParquetHiveSerDe";
const PARQUET_INPUT: &str = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat";
const PARQUET_OUTPUT: &str = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat";
const OLD_PARQUET_INPUT: &str = "parquet.hive.DeprecatedParquetInputFormat";

/// Parameter by which Athena reads Avro.
pub(super) const AVRO_SCHEMA: &str = "avro.schema.literal";

const AVRO: &str = "org.apache.hadoop.hive.serde2.avro.AvroSerDe";
const AVRO_INPUT: &str = "org.apache.hadoop.hive.ql.io.avro.AvroContainerInputFormat";
const AVRO_OUTPUT: &str = "org.apache.hadoop.hive.ql.io.avro.AvroContainerOutputFormat";

const ORC: &str = "org.apache.hadoop.hive.ql.io.orc.OrcSerde";
const ORC_INPUT: &str = "org.apache.hadoop.hive.ql.io.orc.OrcInputFormat";
const ORC_OUTPUT: &str = "org.apache.hadoop.hive.ql.io.orc.OrcOutputFormat";

const JSON: &str = "org.openx.data.jsonserde.JsonSerDe";
const OTHER_JSON: [&str; 2] = ["org.apache.hive.hcatalog.data.JsonSerDe", "org.apache.hadoop.hive.serde2.JsonSerDe"];

const CSV: &str = "org.apache.hadoop.hive.serde2.OpenCSVSerde";
const DELIMITED: &str = "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe";

const TEXT_INPUT: &str = "org.apache.hadoop.mapred.TextInputFormat";
const TEXT_OUTPUT: &str = "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat";

/// Parameters of Hive's text SerDes.
const NULL: &str = CsvOptions::NULL;
const ENCODING: &str = CsvOptions::ENCODING;
const ESCAPE: &str = "escape.delim";

/// Parameter of Hive's ORC SerDe.
const BY_PLACE: &str = "orc.column.index.access";

/// Parameters of unglue's own.
const COMMENT: &str = CsvOptions::COMMENT;
const COLUMNS: &str = CsvOptions::COLUMNS;

/// What stands for NULL in text, unless it is declared.
const HIVE_NULL: &str = "\\N";

type Parameters = HashMap<String, String>;

/// The format of a table's objects.
///
/// # Errors
/// The property at fault, as a sentence that goes on "the table … cannot be read: ".
pub(super) fn read(descriptor: &StorageDescriptor, table: Option<&Parameters>) -> Result<Format, String> {
    let serde = descriptor.serde_info.as_ref();
    let library = serde.and_then(|serde| serde.serialization_library.as_deref()).unwrap_or_default();
    let parameters = Lookup([serde.and_then(|serde| serde.parameters.as_ref()), descriptor.parameters.as_ref(), table]);
    let input = descriptor.input_format.as_deref().unwrap_or_default();
    let (format, inputs) = match library {
        PARQUET | OLD_PARQUET => (Format::Parquet, [PARQUET_INPUT, OLD_PARQUET_INPUT].as_slice()),
        AVRO => (Format::Avro, [AVRO_INPUT].as_slice()),
        ORC => (orc(&parameters)?, [ORC_INPUT].as_slice()),
        _ if library == JSON || OTHER_JSON.contains(&library) => (json(&parameters)?, [TEXT_INPUT].as_slice()),
        CSV => (Format::Csv(quoted(&parameters)?), [TEXT_INPUT].as_slice()),
        DELIMITED => (Format::Csv(delimited(&parameters)?), [TEXT_INPUT].as_slice()),
        "" => return Err("its definition names no SerDe (`SerdeInfo.SerializationLibrary`)".to_owned()),
        other => return Err(format!("its SerDe (`SerdeInfo.SerializationLibrary`) is `{other}`")),
    };
    // A manifest of links, for example, has the SerDe of the objects that it lists.
    if !input.is_empty() && !inputs.contains(&input) {
        return Err(format!("its `InputFormat` is `{input}`"));
    }
    Ok(format)
}

/// Parameters of the SerDe, of the storage descriptor and of the table: different tools write to different ones.
struct Lookup<'a>([Option<&'a Parameters>; 3]);

impl<'a> Lookup<'a> {
    fn get(&self, key: &str) -> Option<&'a str> {
        self.0.iter().flatten().find_map(|parameters| parameters.get(key)).map(String::as_str)
    }

    /// Refuses a parameter that changes what the bytes of an object mean, unless its value is one of the usual ones.
    fn usual(&self, key: &str, usual: &[&str]) -> Result<(), String> {
        match self.get(key) {
            Some(value) if !usual.iter().any(|usual| value.eq_ignore_ascii_case(usual)) => {
                Err(format!("its parameter `{key}` is `{}`", value.escape_default()))
            }
            _ => Ok(()),
        }
    }
}

/// Options of the OpenX JSON SerDe, in which a mapping names the key that a column has its values from.
fn json(parameters: &Lookup<'_>) -> Result<Format, String> {
    let mut options = JsonOptions::default();
    for (key, value) in parameters.0.iter().rev().flatten().flat_map(|parameters| parameters.iter()) {
        match key.strip_prefix(JsonOptions::MAPPING) {
            Some("") => return Err(format!("its parameter `{key}` names no column")),
            Some(column) => _ = options.keys.insert(column.to_lowercase(), value.clone()),
            None => {}
        }
    }
    options.dots = parameters.get(JsonOptions::DOTS).is_some_and(|value| value.eq_ignore_ascii_case("true"));
    Ok(Format::Json(options))
}

/// Athena finds columns of ORC by their place unless it is told otherwise; here they are found by name.
fn orc(parameters: &Lookup<'_>) -> Result<Format, String> {
    parameters.usual(BY_PLACE, &["false"])?;
    Ok(Format::Orc)
}

/// Options of the OpenCSV SerDe. Its own default for `escapeChar`, a backslash, is passed over: hardly any object of the tables that
/// leave it out has one.
fn quoted(parameters: &Lookup<'_>) -> Result<CsvOptions, String> {
    Ok(CsvOptions {
        delimiter: symbol(parameters, "separatorChar")?.unwrap_or(','),
        quote: symbol(parameters, "quoteChar")?.or(Some('"')),
        escape: symbol(parameters, "escapeChar")?,
        null: parameters.get(NULL).filter(|null| !null.is_empty()).map(str::to_owned),
        ..text(parameters)?
    })
}

/// Options of the LazySimple SerDe, which knows no quotes. Objects that have some are read as CSV all the same, unless characters
/// are escaped instead: a crawler writes this SerDe for both.
fn delimited(parameters: &Lookup<'_>) -> Result<CsvOptions, String> {
    parameters.usual("line.delim", &["\n", "10"])?;
    // Hive takes either key, and a number for the character with this code.
    let written = parameters.get("field.delim").or_else(|| parameters.get("serialization.format"));
    let delimiter = match written.map(|text| (text.parse::<u8>(), text)) {
        Some((Ok(code), _)) => char::from(code),
        Some((Err(_), text)) => text.chars().next().unwrap_or('\u{1}'),
        None => '\u{1}',
    };
    let escape = symbol(parameters, ESCAPE)?;
    let quote = match (parameters.get("quoteChar"), escape) {
        (Some(""), _) | (None, Some(_)) => None,
        _ => symbol(parameters, "quoteChar")?.or(Some('"')),
    };
    let null = parameters.get(NULL).unwrap_or(HIVE_NULL);
    let null = (!null.is_empty()).then(|| null.to_owned());
    Ok(CsvOptions { delimiter, quote, escape, null, ..text(parameters)? })
}

/// What both have in common.
fn text(parameters: &Lookup<'_>) -> Result<CsvOptions, String> {
    parameters.usual("skip.footer.line.count", &["0", ""])?;
    let lines = parameters.get(HEADER_LINES).map_or("0", str::trim);
    let header_lines = if lines.is_empty() { Ok(0) } else { lines.parse() };
    let encoding =
        parameters.get(ENCODING).filter(|label| !["", "utf-8", "utf8"].contains(&label.to_lowercase().as_str()));
    Ok(CsvOptions {
        header_lines: header_lines
            .map_err(|_| format!("its parameter `{HEADER_LINES}` is `{}`", lines.escape_default()))?,
        by_position: match parameters.get(COLUMNS) {
            None | Some("name") => false,
            Some("position") => true,
            Some(other) => return Err(format!("its parameter `{COLUMNS}` is `{}`", other.escape_default())),
        },
        comment: symbol(parameters, COMMENT)?,
        encoding: encoding.map(str::to_owned),
        ..CsvOptions::default()
    })
}

fn symbol(parameters: &Lookup<'_>, key: &str) -> Result<Option<char>, String> {
    let Some(text) = parameters.get(key) else { return Ok(None) };
    match CsvOptions::symbol(text) {
        None => Err(format!("its parameter `{key}` is `{}`, which is not one character", text.escape_default())),
        symbol => Ok(symbol),
    }
}

/// Writes a format into a descriptor: SerDe, input format, output format.
pub(super) fn write(descriptor: &mut StorageDescriptor, format: &Format, columns: &[Column]) {
    let (library, parameters, input, output) = match format {
        Format::Parquet => (PARQUET, vec![("serialization.format", "1".to_owned())], PARQUET_INPUT, PARQUET_OUTPUT),
        Format::Json(_) => (JSON, Vec::new(), TEXT_INPUT, TEXT_OUTPUT),
        Format::Avro => (AVRO, vec![("serialization.format", "1".to_owned())], AVRO_INPUT, AVRO_OUTPUT),
        Format::Orc => (ORC, vec![(BY_PLACE, "false".to_owned())], ORC_INPUT, ORC_OUTPUT),
        Format::Csv(options) => {
            let (library, parameters) = csv(options, columns);
            (library, parameters, TEXT_INPUT, TEXT_OUTPUT)
        }
    };
    let known = descriptor.serde_info.take();
    let (name, known) = known.map(|serde| (serde.name, (serde.serialization_library, serde.parameters))).unzip();
    // What the same SerDe is told beside the format stays.
    let kept = known.filter(|(known, _)| known.as_deref() == Some(library)).and_then(|(_, parameters)| parameters);
    let mut all: Parameters = kept.into_iter().flatten().filter(|(key, _)| !is_of_format(key)).collect();
    all.extend(parameters.into_iter().map(|(key, value)| (key.to_owned(), value)));
    if let Format::Json(_) = format {
        all.extend(format.parameters());
    }
    let serde = SerDeInfo::builder().set_name(name.flatten()).serialization_library(library);
    let serde = serde.set_parameters(Some(all));
    descriptor.serde_info = Some(serde.build());
    descriptor.input_format = Some(input.to_owned());
    descriptor.output_format = Some(output.to_owned());
}

/// Whether a parameter says what a [`Format`] does.
fn is_of_format(key: &str) -> bool {
    let of_text = ["field.delim", "serialization.format", "separatorChar", "quoteChar", "escapeChar", ESCAPE];
    let of_all = [NULL, ENCODING, COMMENT, COLUMNS, BY_PLACE, JsonOptions::DOTS];
    of_text.contains(&key) || of_all.contains(&key) || key.starts_with(JsonOptions::MAPPING)
}

/// The SerDe by which Athena reads the most of a CSV table.
///
/// OpenCSV understands quotes, but reads everything as text: dates, timestamps and decimals, and numbers that are empty, fail
/// the query. LazySimple reads every type, but takes quotes for part of the value. Where all columns are strings OpenCSV has
/// only advantages; where another quote than the usual one was found, the objects are quoted, and a query that fails is better
/// than wrong values. In between are tables of numbers and dates, which hardly need quotes. unglue itself reads either alike.
fn csv(options: &CsvOptions, columns: &[Column]) -> (&'static str, Vec<(&'static str, String)>) {
    let is_text =
        |column: &Column| matches!(column.hive_type, HiveType::String | HiveType::Varchar(_) | HiveType::Char(_));
    let delimiter = options.delimiter.to_string();
    // LazySimple would take a digit for the code of a character.
    let is_code = options.delimiter.is_ascii_digit();
    let usual = CsvOptions::default();
    let (library, mut parameters) = match options.quote {
        Some(quote)
            if columns.iter().all(is_text) || options.quote != usual.quote || options.escape.is_some() || is_code =>
        {
            let escape = options.escape.map(|escape| ("escapeChar", escape.to_string()));
            let mut parameters = vec![("separatorChar", delimiter), ("quoteChar", quote.to_string())];
            parameters.extend(escape);
            parameters.extend(options.null.clone().map(|null| (NULL, null)));
            (CSV, parameters)
        }
        quote => {
            let mut parameters = vec![("serialization.format", delimiter.clone()), ("field.delim", delimiter)];
            // An empty field is NULL here as well, whatever its type.
            parameters.push((NULL, options.null.clone().unwrap_or_default()));
            match (quote, options.escape) {
                (None, Some(escape)) => parameters.push((ESCAPE, escape.to_string())),
                (None, None) => parameters.push(("quoteChar", String::new())),
                _ => {}
            }
            (DELIMITED, parameters)
        }
    };
    parameters.extend(options.comment.map(|comment| (COMMENT, comment.to_string())));
    parameters.extend(options.by_position.then(|| (COLUMNS, "position".to_owned())));
    parameters.extend(options.encoding.clone().map(|label| (ENCODING, label)));
    (library, parameters)
}
