//! Checks the columns of a result: names, types, and what the settings say of them.

use std::collections::BTreeMap;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{DFSchema, TableReference};
use datafusion::sql::sqlparser::ast::{Expr, Query, Select, SelectItem, SelectItemQualifiedWildcardKind};

use crate::code::Code;
use crate::diagnose::find::{self, object_name};
use crate::diagnose::text::{Extent, Text};
use crate::error::{Error, Location};
use crate::hive::HiveType;
use crate::nearest::nearest;
use crate::settings::{Settings, Spanned};
use crate::table::Column;

/// The columns of a result in the order of the SELECT, as the catalog will name and type them.
///
/// # Errors
/// [`Code::BadColumnName`], [`Code::DuplicateColumn`], [`Code::UnsupportedType`]: all there are.
pub(super) fn columns(
    schema: &DFSchema,
    query: &Query,
    text: &Text<'_>,
    comments: &BTreeMap<String, String>,
) -> (Vec<Column>, Vec<Error>) {
    let items = Items::new(schema, query, text);
    let mut columns: Vec<Column> = Vec::new();
    let mut errors = Vec::new();
    for (index, field) in schema.fields().iter().enumerate() {
        let name = field.name().to_lowercase();
        if !is_column_name(&name) {
            errors.push(bad_name(field.name(), items.written(index)).maybe_at(items.location(index)));
            continue;
        }
        if columns.iter().any(|column| column.name == name) {
            errors.push(duplicate(&name).maybe_at(items.location(index)));
            continue;
        }
        match HiveType::of(field.data_type()) {
            Ok(hive_type) => {
                let comment = comments.get(&name).cloned();
                columns.push(Column { name, hive_type, comment });
            }
            Err(error) => errors.push(unsupported(&name, field.data_type(), error).maybe_at(items.location(index))),
        }
    }
    (columns, errors)
}

/// What a Hive table, Athena and Parquet readers all take as the name of a column.
fn is_column_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= 255 && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn bad_name(name: &str, written: Option<String>) -> Error {
    let shown = written.unwrap_or_else(|| name.to_owned());
    Error::new(Code::BadColumnName, format!("the column `{shown}` has no usable name"))
        .help("name it with AS, in letters, digits and `_`")
}

fn duplicate(name: &str) -> Error {
    Error::new(Code::DuplicateColumn, format!("two columns are called `{name}`"))
        .help("give one of them another name with AS; letter case does not count")
}

fn unsupported(name: &str, data_type: &DataType, error: Error) -> Error {
    let mut error = error;
    error.message = match data_type {
        DataType::Null => format!("the column `{name}` is always NULL and has no type"),
        _ => format!("the column `{name}`: {}", error.message),
    };
    error
}

/// The items of the SELECT list that the result's columns come from.
struct Items<'a> {
    text: &'a Text<'a>,
    extents: Vec<Extent>,
    /// For each column of the result, its item.
    item_of: Vec<usize>,
}

impl<'a> Items<'a> {
    fn new(schema: &DFSchema, query: &Query, text: &'a Text<'a>) -> Self {
        let Some(select) = find::naming_select(&query.body) else {
            return Self { text, extents: Vec::new(), item_of: Vec::new() };
        };
        Self { text, extents: find::items(text, select), item_of: item_of(schema, select) }
    }

    fn extent(&self, column: usize) -> Option<Extent> {
        self.extents.get(*self.item_of.get(column)?).copied()
    }

    fn location(&self, column: usize) -> Option<Location> {
        self.text.location(self.extent(column)?)
    }

    fn written(&self, column: usize) -> Option<String> {
        self.text.written(self.extent(column)?)
    }
}

/// For each column of the result the position of its SELECT item. Items before the first and after the last `*` are counted
/// from either end; of several `*`, a column belongs to the one of its table.
fn item_of(schema: &DFSchema, select: &Select) -> Vec<usize> {
    let items = &select.projection;
    let wide: Vec<usize> = (0..items.len()).filter(|index| is_wide(&items[*index])).collect();
    let columns = schema.fields().len();
    let (Some(first_wide), Some(last_wide)) = (wide.first(), wide.last()) else { return (0..columns).collect() };
    let after = items.len() - 1 - last_wide;
    let mut current = *first_wide;
    (0..columns)
        .map(|column| {
            if column < *first_wide {
                return column;
            }
            if column + after >= columns {
                return items.len() - (columns - column);
            }
            let (qualifier, field) = schema.qualified_field(column);
            let fits = |item: &usize| gives(&items[*item], qualifier, field.name());
            current = (current..=*last_wide).find(fits).unwrap_or(current);
            current
        })
        .collect()
}

/// Whether an item may give several columns.
fn is_wide(item: &SelectItem) -> bool {
    match item {
        SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..) => true,
        SelectItem::UnnamedExpr(Expr::Function(function)) => object_name(&function.name) == "unnest",
        _ => false,
    }
}

/// Whether an item may give a column of this table and name.
fn gives(item: &SelectItem, table: Option<&TableReference>, name: &str) -> bool {
    match item {
        SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(wanted), _) => {
            table.is_some_and(|table| {
                let wanted = object_name(wanted);
                table.to_string() == wanted || table.table() == wanted
            })
        }
        other => find::item_name(other).is_none_or(|given| given == name),
    }
}

/// Checks that the columns which the settings name exist, and that the partition columns can be such.
pub(super) fn settings(settings: &Settings, columns: &[Column]) -> Vec<Error> {
    let named = settings
        .partition
        .iter()
        .chain(&settings.key)
        .chain(&settings.latest_by)
        .chain(&settings.bloom_filter)
        .chain(&settings.dictionary)
        .chain(&settings.not_null)
        .chain(&settings.unique)
        .map(|setting| (setting.value.as_str(), setting.at.as_ref()))
        .chain(settings.sort.iter().map(|setting| (setting.value.column.as_str(), setting.at.as_ref())));
    let mut errors: Vec<Error> = named
        .filter(|(name, _)| find_column(columns, name).is_none())
        .map(|(name, at)| unknown(name, columns).maybe_at(at.cloned()))
        .collect();
    errors.extend(settings.partition.iter().filter_map(|setting| bad_partition(setting, columns)));
    errors
        .extend(settings.key.iter().chain(&settings.latest_by).filter_map(|setting| not_comparable(setting, columns)));
    if !columns.is_empty() && columns.iter().all(|column| is_partition(settings, &column.name)) {
        let at = settings.partition.first().and_then(|setting| setting.at.clone());
        errors.push(
            Error::new(Code::AllPartitionColumns, "every column of the result is a partition column")
                .help("leave at least one column out of `@partition`")
                .maybe_at(at),
        );
    }
    errors
}

/// Whether the settings make a column a partition column.
pub(super) fn is_partition(settings: &Settings, column: &str) -> bool {
    settings.partition.iter().any(|setting| setting.value.eq_ignore_ascii_case(column))
}

fn find_column<'a>(columns: &'a [Column], name: &str) -> Option<&'a Column> {
    columns.iter().find(|column| column.name.eq_ignore_ascii_case(name))
}

fn unknown(name: &str, columns: &[Column]) -> Error {
    let error = Error::new(Code::UnknownColumn, format!("`{name}` is not a column of the result"));
    match nearest(name, columns.iter().map(|column| column.name.as_str())) {
        Some(nearest) => error.help(format!("did you mean `{nearest}`?")),
        None => error.help("columns are named as in the SELECT list, after AS"),
    }
}

/// `@key` and `@latest_by` need columns whose values can be compared.
fn not_comparable(setting: &Spanned<String>, columns: &[Column]) -> Option<Error> {
    let column = find_column(columns, &setting.value)?;
    if !crate::hive::is_nested(&column.hive_type) {
        return None;
    }
    let message = format!("`{}` is of type {}, whose values cannot be compared", column.name, column.hive_type);
    Some(Error::new(Code::TypeMismatch, message).help("name another column").maybe_at(setting.at.clone()))
}

fn bad_partition(setting: &Spanned<String>, columns: &[Column]) -> Option<Error> {
    let column = find_column(columns, &setting.value)?;
    let help = match column.hive_type {
        HiveType::Float | HiveType::Double => "CAST it to DECIMAL, or partition by another column",
        HiveType::Binary | HiveType::Array(_) | HiveType::Map(..) | HiveType::Struct(_) => {
            "partition by another column"
        }
        _ => return None,
    };
    let message = format!("`{}` is of type {} and cannot be a partition column", column.name, column.hive_type);
    Some(Error::new(Code::TypeMismatch, message).help(help).maybe_at(setting.at.clone()))
}
