//! The stable error codes: one table of code, kind and explanation.

use std::fmt;

/// What the reader of an error must do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Mend the project: a SQL file, a setting, a name.
    Project,
    /// Mend, remove or set aside an input object.
    Data,
    /// Nothing: try again, another worker was faster or a service did not answer.
    Retry,
    /// Mend the surroundings: permissions, disk space, memory.
    Environment,
    /// Report it: this is a defect of unglue.
    Internal,
}

macro_rules! codes {
    ($($variant:ident $text:literal $kind:ident $explanation:literal)*) => {
        /// A stable, kebab-case error code.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code {
            $(#[doc = $explanation] $variant,)*
        }

        impl Code {
            /// Every code, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The code as it is printed, for example `unknown-column`.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }

            /// What the reader must do.
            pub fn kind(self) -> Kind {
                match self { $(Self::$variant => Kind::$kind),* }
            }

            /// What the code means and how to mend it: the text of `unglue explain`.
            pub fn explanation(self) -> &'static str {
                match self { $(Self::$variant => $explanation),* }
            }
        }
    };
}

codes! {
    // The project and its headers.
    EmptyProject "empty-project" Project
        "The folder `sql/` holds no SQL file.\n\nA transform is one file `sql/<database>/<table>.sql`. `unglue init` writes a small working project to start from."
    BadPath "bad-path" Project
        "A SQL file does not lie at `sql/<database>/<table>.sql`, or a folder or file name is not a valid name.\n\nThe path names the table that the file produces. Names are lower-case letters, digits and `_`, and begin with a letter or `_`, as the Glue Data Catalog and Athena expect."
    NotUtf8 "not-utf8" Project
        "A SQL or TOML file, or a file of a test, is not UTF-8 text.\n\nSave the file as UTF-8; a byte order mark is allowed."
    DuplicateTarget "duplicate-target" Project
        "Two files produce the same table, for example because their names differ only by letter case.\n\nRename or remove one of them."
    DependencyCycle "dependency-cycle" Project
        "Transforms read each other's tables in a circle, so none of them can run first.\n\nThe message lists the circle; break it at one place."
    ReadsOwnTarget "reads-own-target" Project
        "A transform reads the table that it produces.\n\nA run would see its own former output, and the result would depend on how often it ran. Read the source tables instead; to update rows in place use `@write: merge`."
    MisplacedSetting "misplaced-setting" Project
        "A `-- @key: value` comment stands below the header, where it has no effect.\n\nThe header is the unbroken block of line comments at the top of the file. Move the setting there, or write the comment without `@`."
    UnknownKey "unknown-key" Project
        "A header or an `unglue.toml` has a key that does not exist.\n\nThe keys are listed in the reference; the nearest name is suggested where there is one."
    DuplicateKey "duplicate-key" Project
        "A header has the same key twice.\n\nKeep one; a list goes on one line, separated by commas. Only `@assert` and `@assert_table` may be repeated."
    BadValue "bad-value" Project
        "A setting has a value that its key does not take, or no value at all.\n\nThe message says which values are allowed."
    NotSupported "not-supported" Project
        "A setting or SQL feature is part of the language but not built into this version.\n\nRemove it, or wait for the version that has it; nothing was run as if it were not there."
    // The SQL text.
    Syntax "syntax" Project
        "The SQL text, or an `unglue.toml`, could not be parsed.\n\nThe position is where the parser stopped; the mistake is there or just before."
    NotASelect "not-a-select" Project
        "A file holds something other than one SELECT: DDL, DML, COPY, SET, EXPLAIN or nothing at all.\n\nA transform is one query. How its result is written is said by the header (`@write`, `@partition`, ...), not by a statement."
    SeveralStatements "several-statements" Project
        "A file holds more than one statement.\n\nPut each query in a file of its own; each file produces one table."
    FileAccess "file-access" Project
        "A query reads a file or URL directly, or calls a table function.\n\nOnly tables of the catalog are visible to a transform. Put the file in the data folder and run `unglue catalog`, then read it as a table."
    UnknownTable "unknown-table" Project
        "A query names a table that is neither in the catalog nor produced by another transform.\n\nTables are written `database.table`. `unglue catalog show` lists the tables; `unglue catalog` adds those that lie in the data folder."
    UnknownColumn "unknown-column" Project
        "A query or a setting names a column that does not exist at that place.\n\nThe nearest name is suggested. In a header, columns are those of the SELECT list, by their final names."
    AmbiguousColumn "ambiguous-column" Project
        "A column name fits several tables of the query.\n\nQualify it: `alias.column`."
    UnknownFunction "unknown-function" Project
        "A query calls a function that does not exist, or one that cannot be used at that place.\n\nThe nearest name is suggested. The functions are those of DataFusion."
    TypeMismatch "type-mismatch" Project
        "An operator, function or setting gets a value of a type that it does not take.\n\nAdd a CAST, or correct the expression."
    DuplicateColumn "duplicate-column" Project
        "Two columns of the result have the same name, ignoring letter case.\n\nGive one of them another name with AS; the catalog does not distinguish letter case."
    BadColumnName "bad-column-name" Project
        "A column of the result has no usable name.\n\nName expressions with AS. Column names may hold letters, digits and `_`."
    UnsupportedType "unsupported-type" Project
        "A column of the result has a type that Hive tables do not have, or no type at all.\n\nAdd a CAST to the type that readers of the table should see."
    InvalidQuery "invalid-query" Project
        "The query is well-formed but the planner refuses it.\n\nThe message is the planner's own."
    QueryTooComplex "query-too-complex" Project
        "The query is nested deeper, or longer, than the limits allow.\n\nSplit it into several transforms."
    NotIncremental "not-incremental" Project
        "`@write` asks for a way of writing that does not fit the query.\n\nFor `append` and `merge` the query runs over new objects only, which must give the same rows as running it over all of them: aggregates, DISTINCT, windows, LIMIT, set operations, and outer joins that keep rows of the lookup side need all of the source. For `overwrite_partitions` aggregates and windows are fine as long as they are computed by the partition columns, so that a new row can only change its own partition. The marked clause is the reason. Use `@write: overwrite`, or move the clause into a transform of its own that reads this one's table."
    BadDriving "bad-driving-table" Project
        "`@driving` or `@trigger` names a table that the query does not read, or there is no table to drive the transform.\n\nName a table of FROM."
    AllPartitionColumns "all-partition-columns" Project
        "Every column of the result is a partition column, so no column would be left for the files.\n\nLeave at least one column out of `@partition`."
    UnknownTransform "unknown-transform" Project
        "A name given on the command line is not a transform of the project.\n\nNames are `database.table`, or the table alone where it is unique."
    SchemaChanged "schema-changed" Project
        "The result of the query no longer fits the table that an earlier version of the file created.\n\nNew columns are added by themselves. A column that changed its type, was removed or moved into or out of `@partition` needs a rebuild with `unglue run --full-refresh`, or the former definition."
    ForeignTable "foreign-table" Project
        "The table that a transform should produce exists already and was not made by it.\n\nunglue never writes into a table that is not its own. Rename the SQL file."
    OverlappingLocations "overlapping-locations" Project
        "The folder of a table that a transform writes lies in the folder of another table, or that one's in it.\n\nA table's objects are all that lies in its folder, so that what one writes would become rows of the other, or arrive as new objects. Give each table a folder of its own: change `@location`, or the location of the other table."
    PartitionProjection "partition-projection" Project
        "A transform replaces partitions of a table for which partition projection is turned on.\n\nWith `projection.enabled` Athena computes where partitions lie and does not look into the catalog. A run that replaces partitions writes them to new folders and moves the catalog to these, which Athena would not see: it would go on reading the old rows. Remove the parameter `projection.enabled` from the table; or let it only grow, with `@write: append` and `@changed_input: append` or `reject`."
    // Tests of transforms.
    BadTest "bad-test" Project
        "A folder of tests does not hold what `unglue test` needs.\n\nA test case is a folder `sql/<database>/<table>.test/<case>/`. In it lie one file of rows for each table that the query reads, `<database>.<table>.csv` (or `.jsonl`), and one file that says what is expected: `expect.csv` (or `.jsonl`) with rows, or `expect.error` with the code of an error. Files of rows in `<table>.test/` itself serve all of its cases."
    BadFixture "bad-fixture" Project
        "A file of a test case cannot be read.\n\nCSV begins with a header that names each column once, and every record has as many fields. JSON has one object a line. The columns are those of the table, or of the query's result for expected rows, and the values are of their types: `unglue check` and `unglue catalog show` say which they are."
    TestFailed "test-failed" Project
        "A test case expects an error, and the query gave rows or another error.\n\nCorrect the query or its header, or what `expect.error` says: the code of an error on the first line, and on further lines, if wanted, texts that its message must contain."
    // Input data.
    BadRecord "bad-record" Data
        "A row of a CSV or JSON object cannot be read as the table declares: too few or too many fields, a value of another type, broken JSON.\n\nThe message names the object and the line. Mend the object and upload it again; the table is as it was before the run. With `@on_bad_record: quarantine` such records are left out, and kept in a file that the receipt names."
    BadObject "bad-object" Data
        "An object cannot be read at all: truncated or corrupt compression, not a Parquet file, not UTF-8.\n\nUpload it again, or move it out of the table's folder."
    ColumnMismatch "column-mismatch" Data
        "An object has a column whose type does not fit the table's, or a CSV header without a single known column.\n\nMend the object, or change the table. What objects may change by themselves is said by the table's parameter `unglue.schema_change`: `add` and `widen` unless it is there, `rescue`, `fail` or `ignore`."
    BadPartitionValue "bad-partition-value" Data
        "A partition's value cannot be read as the type of its column, or a partition folder has other keys than the table.\n\nRename the folder, or change the type of the partition column in the catalog."
    UnreadableTable "unreadable-table" Data
        "Nothing can be told about a folder's format: its objects are of several formats, of none that is known, or without a single row.\n\nThe message lists the objects."
    UnsupportedTable "unsupported-table" Data
        "A table of the catalog cannot be read: it is a view, or its objects are encoded in a way that is not known, or its definition lacks something.\n\nThe message names the property. Tables of CSV, JSON, Parquet, Avro and ORC can be read. Correct the definition, or have the query read another table."
    MisplacedObject "misplaced-object" Data
        "An object or a folder of the data folder belongs to no table.\n\nThe objects of a table lie in `<database>/<table>/` or in folders below it. Names are lower-case letters, digits and `_`, and begin with a letter; what begins with `_` or `.` is not looked at."
    TooManyPartitions "too-many-partitions" Data
        "A run would write more partitions than `@max_partitions` allows; it stopped before anything became visible.\n\nThe message lists the values with the most rows. Partition by something coarser, or raise the limit."
    CheckFailed "check-failed" Data
        "Rows of the result break a check of the header (`@not_null`, `@assert`).\n\nThe table is as it was before the run. Mend the data, the query or the check."
    ValueOutOfRange "value-out-of-range" Data
        "A computation failed on some row: overflow, division by zero, a CAST that does not fit.\n\nGuard the expression (`TRY_CAST`, `NULLIF`), or mend the data."
    ObjectChanged "object-changed" Retry
        "An object was replaced while it was being read.\n\nNothing was written. The next run reads the newest version."
    ObjectGone "object-gone" Retry
        "An object was deleted before it could be read.\n\nNothing was written. The next run goes on without it."
    ChangedInput "changed-input" Data
        "An object that was processed before arrived again with other content, and it cannot be processed as it is.\n\n`@changed_input` says what to do with such objects: `replace` (the default) takes their former rows out and puts the new ones in, `append` adds the new rows to the former ones, `reject` refuses the object with this error. `replace` needs files that say which of their rows came from which object: those written under another setting do not, so that the table must be rebuilt once with `unglue run --full-refresh`."
    BadEvent "bad-event" Data
        "A message of a queue or a bus is not one that unglue understands, or it is about a bucket or an account that is not configured.\n\nUnderstood are the events of S3 that EventBridge sends, S3 notifications (versions 2.x), either of them also wrapped by SNS, the state changes of Glue crawlers, and unglue's own events. Anything else is set aside after one try: no retry would make it understood, and nothing was read or written. Correct the rule, the notification or the program that sends it; what should have been processed is sent again from the dead-letter queue, or the object is uploaded again."
    // Surroundings.
    OutOfMemory "out-of-memory" Environment
        "The query needs more memory than its limit, and this part of it cannot spill to disk.\n\nSorts, aggregates and joins on equal columns spill; a join on anything else (`<`, `BETWEEN`, `CROSS JOIN`) holds one of its tables whole, and `median`, `array_agg` and the like hold all values of a group. Raise `--memory`, or make the query smaller: filter earlier, join on equal columns."
    DiskFull "disk-full" Environment
        "There is no space left where data or temporary files are written.\n\nThe table is as it was before the run. Free some space and run again."
    PermissionDenied "permission-denied" Environment
        "A file, folder or bucket may not be read or written.\n\nThe table is as it was before the run. Correct the permissions and run again."
    NotFound "not-found" Environment
        "A folder, bucket, file or run that was named does not exist."
    Storage "storage" Retry
        "The storage did not do what was asked, after several tries.\n\nNothing half-written is visible. Run again; if it stays, the message of the storage says more."
    Conflict "conflict" Retry
        "Another process changed the same thing at the same time.\n\nNothing is lost. Run again."
    CatalogUnavailable "catalog-unavailable" Retry
        "The catalog's service did not do what was asked, after several tries: it did not answer in time, had a fault of its own, or allows no more requests at the moment.\n\nNothing half-written is visible. Run again; if it stays, the message of the service says more."
    CatalogRefused "catalog-refused" Environment
        "The catalog's service does not take a request: what it was given is not valid for it, or a quota of the account is used up.\n\nThe message is the service's own. Correct what it names, or have the quota raised."
    TimeOver "time-over" Retry
        "The time that a function is given was over before its work was through.\n\nNothing of the run is visible, and it is begun anew. If it happens again and again, give the function more time or memory, or send fewer objects at a time."
    Unannounced "unannounced" Retry
        "A message could not be handed over: the event bus, the topic or a queue did not take it, after several tries.\n\nWhat was written is visible. The message is sent again with the next try; if it stays, the service's own words say more."
    CatalogDamaged "catalog-damaged" Environment
        "A file of the embedded catalog or the ledger cannot be understood.\n\nIt was changed by hand, or written by a newer version. Restore it, or update the program."
    Usage "usage" Environment
        "The command line has an argument that does not fit."
    Internal "internal" Internal
        "Something happened that should be impossible: a defect of unglue or of a library it uses.\n\nThe table is as it was before the run. Please report it with the message."
}

impl Code {
    /// The code with this text.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str() == text)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl serde::Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// A code that this version does not know is one of a newer version, whose defect it is not: [`Code::Internal`].
impl<'de> serde::Deserialize<'de> for Code {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok(Self::ALL.iter().copied().find(|code| code.as_str() == text).unwrap_or(Self::Internal))
    }
}
