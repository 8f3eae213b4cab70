//! Headers and folder defaults, right and wrong.

use crate::header::keys::Key;
use crate::marked::{assert_wrong, mark, parse_marked, unmark};
use crate::project::Project;
use crate::settings::{
    ChangedInput, Compression, Dialect, EngineChoice, OnViolation, Settings, SortColumn, Spanned, WriteMode,
};

/// The settings of a file without errors, under defaults of its folders.
fn settings_under(folders: &[(&str, &str)], text: &str) -> Settings {
    let mut files: Vec<(String, Vec<u8>)> =
        folders.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect();
    files.push(("sql/sales/orders.sql".to_owned(), text.as_bytes().to_vec()));
    let (project, errors) = Project::parse(files);
    assert!(errors.is_empty(), "{text}: {errors:?}");
    project.transforms()[0].settings.clone()
}

fn settings(header: &str) -> Settings {
    settings_under(&[], &format!("{header}\nSELECT a, b FROM raw.orders JOIN raw.customers ON true"))
}

fn values<T: Clone>(list: &[Spanned<T>]) -> Vec<T> {
    list.iter().map(|item| item.value.clone()).collect()
}

#[test]
fn wrong_headers() {
    let wrong: &[(&str, &[&str])] = &[
        ("-- «@partiton»: x\nSELECT a FROM raw.o", &["unknown-key"]),
        ("-- «@Partition»: x\nSELECT a FROM raw.o", &["unknown-key"]),
        ("-- @owner: me\n-- «@owner»: you\nSELECT a FROM raw.o", &["duplicate-key"]),
        ("-- «@partition» order_date\nSELECT a FROM raw.o", &["bad-value"]),
        ("-- «@partition»:\nSELECT a FROM raw.o", &["bad-value"]),
        ("-- «@partition» :   \nSELECT a FROM raw.o", &["bad-value"]),
        ("-- @partition: a«,», b\nSELECT a FROM raw.o", &["bad-value"]),
        ("-- @partition: a, b«,»\nSELECT a FROM raw.o", &["bad-value"]),
        ("-- @partition: a, «b c», d\nSELECT a FROM raw.o", &["bad-value"]),
        ("-- @partition: a, b, «A»\nSELECT a FROM raw.o", &["bad-value"]),
        ("-- @write: «apend»\nSELECT a FROM raw.o", &["bad-value"]),
        ("-- @unique: «id»\nSELECT a FROM raw.o", &["not-supported"]),
        ("-- @assert_table: «count(*) > 0»\nSELECT a FROM raw.o", &["not-supported"]),
        ("-- @on_violation: «warn»\nSELECT a FROM raw.o", &["not-supported"]),
        ("-- @on_bad_record: «warn»\nSELECT a FROM raw.o", &["bad-value"]),
        ("-- @dialect: «spark»\nSELECT a FROM raw.o", &["not-supported"]),
        ("-- @dialect: «postgres»\nSELECT a FROM raw.o", &["bad-value"]),
        ("-- @engine: «ballista»\nSELECT a FROM raw.o", &["not-supported"]),
        ("-- @compression: «zstd(23)»\nSELECT a FROM raw.o", &["bad-value"]),
        ("-- @compression: «zstd(0)»\nSELECT a FROM raw.o", &["bad-value"]),
        ("-- @compression: «snapy»\nSELECT a FROM raw.o", &["bad-value"]),
        ("-- @target_file_size: «256 apples»\nSELECT a FROM raw.o", &["bad-value"]),
        ("-- @target_file_size: «0MB»\nSELECT a FROM raw.o", &["bad-value"]),
        ("-- @target_file_size: «1.5GB»\nSELECT a FROM raw.o", &["bad-value"]),
        ("-- @target_file_size: «99999999999TB»\nSELECT a FROM raw.o", &["bad-value"]),
        ("-- @max_partitions: «many»\nSELECT a FROM raw.o", &["bad-value"]),
        ("-- @max_partitions: «0»\nSELECT a FROM raw.o", &["bad-value"]),
        ("-- @sort: a desc, «b down»\nSELECT a FROM raw.o", &["bad-value"]),
        ("-- @sort: a, «a desc»\nSELECT a FROM raw.o", &["bad-value"]),
        ("-- @driving: «orders»\nSELECT a FROM raw.o", &["bad-value"]),
        ("-- @trigger: raw.o, «raw o»\nSELECT a FROM raw.o", &["bad-value"]),
        ("-- @location: «over there»\nSELECT a FROM raw.o", &["bad-value"]),
        // Below the header.
        ("SELECT a FROM raw.o\n-- «@write»: append\n", &["misplaced-setting"]),
        ("-- prose\n\n-- «@write»: append\nSELECT a FROM raw.o", &["misplaced-setting"]),
        ("SELECT a, -- «@not_null»: a\n b FROM raw.o", &["misplaced-setting"]),
        ("SELECT 'ä', --«@sort» : a\n b FROM raw.o", &["misplaced-setting"]),
        // How files are written.
        ("-- first\r\n-- «@partiton»: x\r\nSELECT a FROM raw.o\r\n", &["unknown-key"]),
        ("-- @write: «apend»\r\nSELECT a FROM raw.o\r\n", &["bad-value"]),
        ("\u{feff}-- «@partiton»: x\nSELECT a FROM raw.o", &["unknown-key"]),
        ("\t--\t@write:\t«apend»\t\nSELECT a FROM raw.o", &["bad-value"]),
        ("--«@partiton»:x\nSELECT a FROM raw.o", &["unknown-key"]),
        ("-- @description: größe 漢字 🦀\n-- @partition: größe, «🦀 x»\nSELECT a FROM raw.o", &["bad-value"]),
        // Several at once.
        (
            "-- «@partiton»: x\n-- @write: «apend»\n-- @owner: a\n-- «@owner»: b\n-- @sort: «a b c»\n\
             SELECT a FROM «o» WHERE\n-- «@tags»: x\n  x IN (SELECT y FROM «'z.csv'»)",
            &[
                "unknown-key",
                "bad-value",
                "duplicate-key",
                "bad-value",
                "unknown-table",
                "misplaced-setting",
                "file-access",
            ],
        ),
    ];
    assert_wrong(wrong);
}

#[test]
fn a_near_name_is_suggested() {
    let help = |text: &str| parse_marked("sql/sales/orders.sql", text).1[0].help.clone().unwrap();
    assert_eq!(help("-- @partiton: x\nSELECT a FROM raw.o"), "did you mean `@partition`?");
    assert!(help("-- @colour: x\nSELECT a FROM raw.o").contains("`@write`"), "else the keys are listed");
    assert!(help("-- @write: apend\nSELECT a FROM raw.o").starts_with("did you mean `append`?"));
}

#[test]
fn a_file_with_only_a_select_has_every_default() {
    let settings = settings_under(&[], "SELECT a FROM raw.orders");
    assert_eq!(settings.write, None);
    assert_eq!(settings.compression.value, Compression::Zstd(3));
    assert_eq!(settings.target_file_size.value, 256 * 1024 * 1024);
    assert_eq!(settings.max_partitions.value, 1000);
    assert_eq!(settings.changed_input.value, ChangedInput::Replace);
    assert_eq!(settings.on_violation.value, OnViolation::Fail);
    assert_eq!(settings.dialect.value, Dialect::DataFusion);
    assert_eq!(settings.engine.value, EngineChoice::Auto);
    assert_eq!(settings.trigger, None);
    assert!(settings.partition.is_empty() && settings.compression.at.is_none());
}

#[test]
fn every_key_that_is_built_in_is_understood() {
    let settings = settings(
        "-- One row per order.\n-- @write: append\n-- @partition: order_date, Region\n-- @sort: customer_id, amount DESC, a asc\n\
         -- @driving: raw.customers\n-- @trigger: RAW.orders, raw.customers\n-- @changed_input: reject\n\
         -- @compression: zstd( 19 )\n-- @target_file_size: 64KiB\n-- @max_partitions: 20\n-- @bloom_filter: a\n\
         -- @dictionary: b\n-- @not_null: a, b\n-- @assert: a in (1, 2)\n-- @assert: b > 0\n-- @on_violation: fail\n\
         -- @on_bad_record: quarantine\n-- @dialect: datafusion\n-- @engine: lambda\n-- @location: s3://lake/orders/\n\
         -- @description: One row per order, cleaned: twice\n-- @owner: sales@example.com\n-- @tags: daily, gold",
    );
    assert_eq!(settings.write.unwrap().value, WriteMode::Append);
    assert_eq!(values(&settings.partition), ["order_date", "Region"]);
    let sort = |column: &str, descending| SortColumn { column: column.to_owned(), descending };
    assert_eq!(values(&settings.sort), [sort("customer_id", false), sort("amount", true), sort("a", false)]);
    assert_eq!(settings.driving.unwrap().value.to_string(), "raw.customers");
    let triggers: Vec<String> = values(&settings.trigger.unwrap()).iter().map(ToString::to_string).collect();
    assert_eq!(triggers, ["raw.orders", "raw.customers"]);
    assert_eq!(settings.changed_input.value, ChangedInput::Reject);
    assert_eq!(settings.compression.value, Compression::Zstd(19));
    assert_eq!(settings.target_file_size.value, 65_536);
    assert_eq!(settings.max_partitions.value, 20);
    assert_eq!(
        (values(&settings.bloom_filter), values(&settings.dictionary)),
        (vec!["a".to_owned()], vec!["b".to_owned()])
    );
    assert_eq!(values(&settings.not_null), ["a", "b"]);
    assert_eq!(values(&settings.assert), ["a in (1, 2)", "b > 0"], "an assertion is no list");
    assert_eq!(settings.engine.value, EngineChoice::Lambda);
    assert_eq!(settings.location.unwrap().value, "s3://lake/orders/");
    assert_eq!(settings.description.as_deref(), Some("One row per order, cleaned: twice"));
    assert_eq!(settings.owner.as_deref(), Some("sales@example.com"));
    assert_eq!(settings.tags, ["daily", "gold"]);
}

#[test]
fn items_of_a_list_have_places_of_their_own() {
    let settings = settings("-- @partition:  größe ,  b");
    let places: Vec<(usize, usize)> =
        settings.partition.iter().flat_map(|item| &item.at).map(|at| (at.column, at.length)).collect();
    assert_eq!(places, [(17, 5), (26, 1)]);
}

#[test]
fn sizes_and_words() {
    for (text, bytes) in [("1GB", 1 << 30), ("1 gib", 1 << 30), ("512", 512), ("3kb", 3072), ("2TiB", 2 << 40)] {
        assert_eq!(settings(&format!("-- @target_file_size: {text}")).target_file_size.value, bytes);
    }
    for (text, compression) in [
        ("zstd", Compression::Zstd(3)),
        ("ZSTD(22)", Compression::Zstd(22)),
        ("snappy", Compression::Snappy),
        ("gzip", Compression::Gzip),
        ("lz4", Compression::Lz4),
        ("none", Compression::Uncompressed),
    ] {
        assert_eq!(settings(&format!("-- @compression: {text}")).compression.value, compression);
    }
    assert_eq!(settings("-- @trigger: none").trigger, Some(Vec::new()));
}

#[test]
fn what_is_not_a_setting_is_prose() {
    for header in [
        "-- just prose: with a colon",
        "-- mail me@example.com: always",
        "\n\n-- @owner: me",
        "/* @write: nonsense */",
        "--",
        "-- @owner: me\n--\n-- more",
    ] {
        settings(header);
    }
    // In a string, or no known key: nothing that could have been meant.
    settings_under(&[], "SELECT '\n-- @write: x\n' AS a FROM raw.orders -- @someone: look");
}

#[test]
fn every_key_has_a_name() {
    for name in Key::NAMES {
        assert_eq!(Key::parse(name).map(Key::as_str), Some(*name));
    }
}

#[test]
fn the_nearer_default_wins_and_the_header_over_all() {
    let root = (
        "sql/unglue.toml",
        "write = 'overwrite'\nmax_partitions = 1_0\ncompression = \"gzip\"\nassert = ['a > 0', 'b > 0']\nsort = 'a, b desc'\n",
    );
    let database =
        ("sql/sales/unglue.toml", "max_partitions = 20\ncompression = \"lz4\"\npartition = [\"a\", \"b\"]\n");
    let other = ("sql/hr/unglue.toml", "compression = \"none\"\n");
    let text = "-- @compression: snappy\n-- @assert: c > 0\n-- @sort: none\nSELECT a FROM raw.orders";
    let settings = settings_under(&[root, database, other], text);
    assert_eq!(settings.write.unwrap().value, WriteMode::Overwrite);
    assert_eq!(settings.max_partitions.value, 20);
    assert_eq!(settings.max_partitions.at.unwrap().file, "sql/sales/unglue.toml");
    assert_eq!(settings.compression.value, Compression::Snappy);
    assert_eq!(values(&settings.partition), ["a", "b"]);
    assert_eq!(values(&settings.assert), ["c > 0"]);
    assert!(settings.sort.is_empty());
}

#[test]
fn wrong_folder_defaults() {
    let wrong: &[(&str, &[&str])] = &[
        ("«partiton» = 'x'", &["unknown-key"]),
        ("owner = 'a'\n«[write]»\nx = 1", &["bad-value"]),
        ("write = '«apend»'", &["bad-value"]),
        ("dialect = '«spark»'", &["not-supported"]),
        ("# größe\ndescription = 'größe'\npartition = [\"a\", \"«b c»\"]", &["bad-value"]),
        ("partition = 'a, «b c»'", &["bad-value"]),
        ("max_partitions = «0»", &["bad-value"]),
        ("max_partitions = «true»", &["bad-value"]),
        ("max_partitions = «1.5»", &["bad-value"]),
        ("partition = [1, «2.0»]", &["bad-value"]),
        ("partition = «[]»", &["bad-value"]),
        ("write = ['append', '«overwrite»']", &["bad-value"]),
        ("write = «''»", &["bad-value"]),
        ("«location» = 's3://x/y'", &["bad-value"]),
        ("owner = 'a'\n«owner» = 'b'", &["duplicate-key"]),
        ("owner = «a»", &["syntax"]),
        ("\u{feff}owner = 'a'\r\n«partiton» = 'x'\r\nwrite = '«x»'", &["unknown-key", "bad-value"]),
    ];
    for (marked, codes) in wrong {
        let (text, marks) = unmark(marked);
        let files = vec![
            ("sql/sales/unglue.toml".to_owned(), text.into_bytes()),
            ("sql/sales/orders.sql".to_owned(), b"SELECT a FROM raw.o".to_vec()),
            ("sql/sales/returns.sql".to_owned(), b"SELECT a FROM raw.o".to_vec()),
            ("sql/hr/people.sql".to_owned(), b"SELECT a FROM raw.o".to_vec()),
        ];
        let (project, errors) = Project::parse(files);
        let found: Vec<_> = errors.iter().map(mark).collect();
        let expected: Vec<_> =
            marks.iter().zip(*codes).map(|(&(l, c, n), code)| (l, c, n, (*code).to_owned())).collect();
        assert_eq!(found, expected, "each once, in: {marked}\n{errors:?}");
        assert!(errors.iter().all(|error| error.at.as_ref().unwrap().file == "sql/sales/unglue.toml"));
        assert!(errors.iter().all(|error| error.help.is_some()));
        let whole: Vec<String> = project.transforms().iter().map(|transform| transform.target.to_string()).collect();
        assert_eq!(whole, ["hr.people"], "what the broken defaults govern is not run as if they were not there");
    }
}
