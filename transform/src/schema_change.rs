//! What may become of a table whose objects change: its parameter `unglue.schema_change`.

use crate::code::Code;
use crate::error::{Error, Result};
use crate::hive::HiveType;
use crate::registration::OWNER;
use crate::table::{Column, Table};

/// The parameter.
pub(crate) const POLICY: &str = "unglue.schema_change";

/// The column that keeps, as JSON, what fits no other column of its row.
pub(crate) const RESCUED: &str = "_rescued_data";

/// What a table's parameter allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SchemaChange {
    /// Whether columns are added.
    pub(crate) add: bool,
    /// Whether types become wider.
    pub(crate) widen: bool,
    /// What becomes of everything else.
    pub(crate) other: Other,
}

/// What becomes of differences that do not change a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Other {
    /// What cannot be read is refused.
    RefuseMisfits,
    /// Any difference in columns or types is refused.
    Refuse,
    /// Nothing is refused.
    Ignore,
    /// Nothing is refused, and [`RESCUED`] keeps it.
    Rescue,
}

impl SchemaChange {
    /// # Errors
    /// [`Code::UnsupportedTable`] for a word that is none.
    pub(crate) fn of(table: &Table) -> Result<Self> {
        let Some(text) = table.parameters.get(POLICY) else {
            return Ok(Self { add: true, widen: true, other: Other::RefuseMisfits });
        };
        let mut policy = Self { add: false, widen: false, other: Other::RefuseMisfits };
        for word in text.split([',', '+', ' ']).filter(|word| !word.is_empty()) {
            match word.to_ascii_lowercase().as_str() {
                "add" => policy.add = true,
                "widen" => policy.widen = true,
                "fail" => policy.other = Other::Refuse,
                "ignore" => policy.other = Other::Ignore,
                "rescue" => policy.other = Other::Rescue,
                _ => {
                    let message = format!("the parameter `{POLICY}` of `{}` is `{text}`", table.name);
                    return Err(Error::new(Code::UnsupportedTable, message).help(
                        "use `add`, `widen`, `rescue`, or some of them with a comma between; `fail` or `ignore`",
                    ));
                }
            }
        }
        Ok(policy)
    }

    /// Whether what fits no column of a table is kept in one of its own.
    pub(crate) fn rescues(table: &Table) -> bool {
        let is_kept = |column: &Column| column.name == RESCUED && column.hive_type == HiveType::String;
        // What transforms write has its own columns alone; one may be a copy of a source's.
        !table.parameters.contains_key(OWNER)
            && table.columns.iter().any(is_kept)
            && Self::of(table).is_ok_and(|policy| policy.other == Other::Rescue)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{Format, JsonOptions};

    fn table(policy: Option<&str>, columns: &[&str]) -> Table {
        let column = |name: &&str| Column { name: (*name).to_owned(), hive_type: HiveType::String, comment: None };
        Table {
            name: "raw.t".to_owned().try_into().unwrap(),
            columns: columns.iter().map(column).collect(),
            partition_keys: Vec::new(),
            format: Format::Json(JsonOptions::default()),
            location: "s3://b/raw/t/".to_owned(),
            description: None,
            parameters: policy.map(|policy| (POLICY.to_owned(), policy.to_owned())).into_iter().collect(),
            version: None,
        }
    }

    #[test]
    fn words_of_the_parameter() {
        for (text, expected) in [
            (None, Some((true, true, Other::RefuseMisfits))),
            (Some(""), Some((false, false, Other::RefuseMisfits))),
            (Some("add"), Some((true, false, Other::RefuseMisfits))),
            (Some("Add, widen + rescue"), Some((true, true, Other::Rescue))),
            (Some("rescue"), Some((false, false, Other::Rescue))),
            (Some("fail"), Some((false, false, Other::Refuse))),
            (Some("ignore"), Some((false, false, Other::Ignore))),
            (Some("drop"), None),
        ] {
            let policy = SchemaChange::of(&table(text, &[])).ok();
            assert_eq!(policy.map(|policy| (policy.add, policy.widen, policy.other)), expected, "{text:?}");
        }
    }

    #[test]
    fn only_with_its_column_is_anything_rescued() {
        assert!(SchemaChange::rescues(&table(Some("rescue"), &["a", RESCUED])));
        assert!(!SchemaChange::rescues(&table(Some("rescue"), &["a"])));
        assert!(!SchemaChange::rescues(&table(Some("ignore"), &["a", RESCUED])));
        let mut written = table(Some("rescue"), &["a", RESCUED]);
        written.parameters.insert(OWNER.to_owned(), "out.t".to_owned());
        assert!(!SchemaChange::rescues(&written));
    }
}
