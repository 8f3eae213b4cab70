//! What a query asks of a table's partitions, in a form that a catalog can answer without knowing SQL.

use crate::hive::HiveType;

/// Conditions on partition keys that all must hold. A partition whose key is NULL satisfies no condition on that key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PartitionFilter {
    /// The conditions.
    pub conditions: Vec<PartitionCondition>,
    /// Whether all values in the catalog are spelled as unglue spells them, as those of its own tables are. Of others, `7` may
    /// be kept as `007`: a catalog that compares texts would leave it out.
    pub canonical: bool,
}

/// A condition on one partition key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionCondition {
    /// Name of the key.
    pub key: String,
    /// Type of the key.
    pub hive_type: HiveType,
    /// What its value must be.
    pub test: PartitionTest,
}

/// What the value of a partition key must be, against values as text, spelled as in [`Partition`](crate::Partition).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartitionTest {
    /// One of these.
    In(Vec<String>),
    /// Less than this.
    Less(String),
    /// Less than this, or this.
    LessOrEqual(String),
    /// Greater than this.
    Greater(String),
    /// Greater than this, or this.
    GreaterOrEqual(String),
}
