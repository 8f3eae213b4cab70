//! Inputs larger than the memory limit: queries spill, leave nothing behind, and stay within bounds.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::process::Child;
use std::thread::sleep;
use std::time::Duration;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;

use crate::exactly_once::Seeded;
use crate::pack::zstd;
use crate::project::{Ended, Project};

/// Size of the input of a large job.
const INPUT: usize = 300 << 20;
/// Its memory limit, a tenth of that.
const LIMIT: &str = "30MB";
/// Most memory that the whole process may take: the limit, and what its code, its threads and the buffers outside of the
/// limit need. It is below the size of the input.
const PROCESS: u64 = 280 << 20;

/// Puts about [`INPUT`] bytes of `raw.items`: `id` counts, `k` is anything. Returns the number of rows.
fn put_items(project: &Project) -> u64 {
    let (mut rows, mut seeded) = (0, Seeded::new(42));
    for object in 0..4 {
        let mut text = String::with_capacity(INPUT / 4 + 128);
        text.push_str("id,k,text\n");
        while text.len() < INPUT / 4 {
            let k = seeded.below(1 << 40);
            writeln!(text, "{rows},{k},some text that makes the row longer as rows of real tables are {k}").unwrap();
            rows += 1;
        }
        project.put(&format!("raw/items/{object}.csv"), text);
    }
    rows
}

/// Runs the program to its end, and says how much memory it had at most, in bytes.
fn measured(project: &Project, arguments: &[&str]) -> (Ended, u64) {
    // Into files: nobody reads pipes meanwhile, and the program would wait for a reader.
    let (out, err) = (project.folder().join("out"), project.folder().join("err"));
    let mut command = project.command(arguments);
    command.stdout(File::create(&out).unwrap()).stderr(File::create(&err).unwrap());
    let mut child = command.spawn().unwrap();
    let peak = peak_memory(&mut child);
    let (stdout, stderr) = (fs::read_to_string(out).unwrap(), fs::read_to_string(err).unwrap());
    (Ended { code: child.wait().unwrap().code(), stdout, stderr }, peak)
}

fn peak_memory(child: &mut Child) -> u64 {
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes: u64 = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0);
        peak = peak.max(kilobytes << 10);
        sleep(Duration::from_millis(20));
    }
    peak
}

/// Runs the project's one transform within the limit and checks what it left. Returns the receipt.
fn run_within_limit(project: &Project) -> Value {
    let temp = project.folder().join("temp");
    fs::create_dir_all(&temp).unwrap();
    let arguments = ["run", "--json", "--memory", LIMIT, "--temp", temp.to_str().unwrap()];
    let (ended, peak) = measured(project, &arguments);
    let ended = ended.clean();
    let receipt = ended.runs().remove(0);
    assert!(receipt["peak_memory"].as_u64().unwrap() <= 30 << 20, "{receipt}");
    assert_eq!(fs::read_dir(&temp).unwrap().count(), 0, "temporary files are left");
    eprintln!("the process took {} MB, the query {} of {LIMIT}", peak >> 20, receipt["peak_memory"]);
    assert!(peak < PROCESS, "the process took {} MB", peak >> 20);
    receipt
}

/// The values of a column in all files of a table, file by file.
fn column(project: &Project, folder: &str, name: &str) -> Vec<Vec<i64>> {
    let files = project.visible(folder);
    let read = |file: &str| {
        let file = File::open(project.data().join(folder).join(file)).unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
        let batches: Vec<_> = reader.map(|batch| batch.unwrap()).collect();
        batches
            .iter()
            .flat_map(|batch| batch.column_by_name(name).unwrap().as_primitive::<Int64Type>().values().to_vec())
            .collect()
    };
    files.iter().map(|(file, _)| read(file)).collect()
}

#[test]
fn a_sort_spills() {
    let project = Project::new(&[("marts/sorted", "-- @sort: k\nSELECT id, k, text FROM raw.items")]);
    let rows = put_items(&project);
    run_within_limit(&project);
    let files = column(&project, "marts/sorted", "k");
    assert!(files.iter().all(|file| file.is_sorted()), "a file is not sorted");
    let ids: Vec<i64> = column(&project, "marts/sorted", "id").concat();
    assert_eq!(ids.len() as u64, rows);
    assert_eq!(ids.iter().sum::<i64>() as u64, rows * (rows - 1) / 2);
}

#[test]
fn an_aggregate_spills() {
    let project = Project::new(&[(
        "marts/counted",
        "SELECT k, text, count(*) AS n, min(id) AS id FROM raw.items GROUP BY k, text",
    )]);
    let rows = put_items(&project);
    run_within_limit(&project);
    let counted: i64 = column(&project, "marts/counted", "n").concat().iter().sum();
    assert_eq!(counted as u64, rows);
}

/// Of the 101 partitions, more than may be open within the limit, one has nine tenths of the groups.
#[test]
fn an_aggregate_into_partitions_of_which_one_is_large_spills() {
    let project = Project::new(&[(
        "marts/parted",
        "-- @partition: p\n-- @max_partitions: 200\n\
         SELECT k, text, count(*) AS n, CASE WHEN k % 10 = 0 THEN k % 1000 ELSE -1 END AS p FROM raw.items GROUP BY k, text",
    )]);
    let rows = put_items(&project);
    assert_eq!(written(&run_within_limit(&project)).len(), 101);
    let counted = |row: &String| row.split('|').nth(2).unwrap().parse::<u64>().unwrap();
    assert_eq!(project.table("marts.parted").rows.iter().map(counted).sum::<u64>(), rows);
}

/// Either side is larger than the limit.
#[test]
fn a_join_spills() {
    let sql = "-- @write: overwrite\nSELECT i.id, i.k, o.k - i.k AS zero, i.text FROM raw.items i JOIN raw.others o ON i.id = o.id";
    let project = Project::new(&[("marts/joined", sql)]);
    let rows = put_items(&project);
    for (object, _) in project.visible("raw/items") {
        let content = fs::read(project.data().join("raw/items").join(&object)).unwrap();
        project.put(&format!("raw/others/{object}"), content);
    }
    run_within_limit(&project);
    assert_joined(&project, rows);
}

/// The smaller side is a hundred times as large as its object, which nobody can tell before it is read.
#[test]
fn a_join_that_seemed_small_spills() {
    let sql = "SELECT i.id, i.k, o.zero, o.text FROM raw.items i JOIN raw.others o ON i.id = o.id";
    let project = Project::new(&[("marts/joined", sql)]);
    let rows = put_items(&project);
    let mut others = String::from("id,zero,text\n");
    for id in 0..rows {
        writeln!(others, "{id},0,{}", "the same text in all rows ".repeat(4)).unwrap();
    }
    let packed = zstd(others);
    assert!(packed.len() < 8 << 20, "{}", packed.len());
    project.put("raw/others/1.csv.zst", packed);
    run_within_limit(&project);
    assert_joined(&project, rows);
}

/// Each row of `raw.items` is in the table once, and found its partner.
fn assert_joined(project: &Project, rows: u64) {
    let mut ids: Vec<i64> = column(project, "marts/joined", "id").concat();
    ids.sort_unstable();
    assert!(ids.into_iter().eq(0..rows as i64), "rows are lost or doubled");
    assert!(column(project, "marts/joined", "zero").concat().iter().all(|zero| *zero == 0));
}

/// The values of `p` of the partitions that a run wrote, sorted.
fn written(receipt: &Value) -> Vec<i64> {
    let partitions = receipt["partitions"].as_array().unwrap();
    let mut values: Vec<i64> =
        partitions.iter().map(|partition| partition["values"]["p"].as_str().unwrap().parse().unwrap()).collect();
    values.sort_unstable();
    values
}

/// The table is far larger than the limit: when it comes about, when few rows change, and when some change in every partition.
#[test]
fn a_merge_spills() {
    const PART: u64 = 300_000;
    let project = Project::new(&[(
        "marts/merged",
        "-- @write: merge\n-- @key: id\n-- @partition: p\nSELECT id, k, text, id / 300000 AS p FROM raw.items",
    )]);
    let rows = put_items(&project);
    let last = (rows - 1) / PART;
    let all: Vec<i64> = (0..=last as i64).collect();
    assert!(last > 5, "only {last} partitions");
    assert_eq!(written(&run_within_limit(&project)), all);

    let before = project.visible("marts/merged");
    let new = last + 3;
    project.put("raw/items/few.csv", format!("id,k,text\n1,-1,a\n{PART},-2,b\n{},-3,c\n", new * PART));
    assert_eq!(written(&run_within_limit(&project)), [0, 1, new as i64]);
    // The former files stay until they are collected.
    let added: Vec<String> =
        project.visible("marts/merged").difference(&before).map(|(file, _)| file.clone()).collect();
    let is_in = |file: &String| [0, 1, new].iter().any(|p| file.contains(&format!("/p={p}/")));
    assert!(added.iter().all(is_in), "{added:?}");

    let one_of_each: String = (0..=last).map(|part| format!("{},{},x\n", part * PART + 7, -10 - part as i64)).collect();
    project.put("raw/items/one_of_each.csv", format!("id,k,text\n{one_of_each}"));
    assert_eq!(written(&run_within_limit(&project)), all);
    project.until_quiet();

    let table = project.table("marts.merged");
    assert_eq!(table.rows.len() as u64, rows + 1);
    let mut changed: Vec<i64> =
        table.rows.iter().filter_map(|row| row.split('|').nth(1)?.parse().ok()).filter(|k| *k < 0).collect();
    changed.sort_unstable();
    let expected = [-3, -2, -1].into_iter().chain((0..=last as i64).map(|part| -10 - part));
    let mut expected: Vec<i64> = expected.collect();
    expected.sort_unstable();
    assert_eq!(changed, expected);
}

/// Partitions are made anew from all of their source: all of them at first, then three, then all again.
#[test]
fn replacing_partitions_spills() {
    const PART: u64 = 300_000;
    let project = Project::new(&[(
        "marts/replaced",
        "-- @write: overwrite_partitions\n-- @partition: p\n\
         SELECT k, text, count(*) AS n, min(id) AS id, id / 300000 AS p FROM raw.items GROUP BY id / 300000, k, text",
    )]);
    let rows = put_items(&project);
    let last = (rows - 1) / PART;
    let all: Vec<i64> = (0..=last as i64).collect();
    assert_eq!(written(&run_within_limit(&project)), all);

    let new = last + 3;
    project.put("raw/items/few.csv", format!("id,k,text\n1,-1,a\n{PART},-2,b\n{},-3,c\n", new * PART));
    assert_eq!(written(&run_within_limit(&project)), [0, 1, new as i64]);
    let one_of_each: String = (0..=last).map(|part| format!("{},-1,a\n", part * PART)).collect();
    project.put("raw/items/one_of_each.csv", format!("id,k,text\n{one_of_each}"));
    assert_eq!(written(&run_within_limit(&project)), all);
    project.until_quiet();

    let table = project.table("marts.replaced");
    let counted = |row: &String| row.split('|').nth(2).unwrap().parse::<u64>().unwrap();
    assert_eq!(table.rows.iter().map(counted).sum::<u64>(), rows + 3 + last + 1);
    assert_eq!(table.rows.iter().map(counted).max(), Some(2), "one row of the two new objects is the same");
}

#[test]
fn two_thousand_partitions() {
    let project = Project::new(&[(
        "marts/parted",
        "-- @partition: p\n-- @max_partitions: 5000\nSELECT id, k, text, k % 2000 AS p FROM raw.items",
    )]);
    let mut text = String::from("id,k,text\n");
    let mut expected: BTreeMap<u64, u64> = BTreeMap::new();
    let mut seeded = Seeded::new(5);
    for id in 0..200_000 {
        let k = seeded.below(1 << 40);
        *expected.entry(k % 2000).or_default() += 1;
        writeln!(text, "{id},{k},text {k}").unwrap();
    }
    assert_eq!(expected.len(), 2000);
    project.put("raw/items/1.csv", text);
    let (ended, peak) = measured(&project, &["run", "--json", "--memory", "64MB"]);
    let runs = ended.clean().runs();
    assert!(peak < PROCESS, "the process took {} MB", peak >> 20);
    let written: BTreeMap<u64, u64> = runs[0]["partitions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|partition| {
            let value = partition["values"]["p"].as_str().unwrap().parse().unwrap();
            (value, partition["rows"].as_u64().unwrap())
        })
        .collect();
    assert!(written == expected, "the receipt counts other rows than arrived");
    let table = project.table("marts.parted");
    assert_eq!((table.files, table.rows.len()), (2000, 200_000));
    project.until_quiet();
}

#[test]
fn too_many_partitions() {
    let project =
        Project::new(&[("marts/parted", "-- @partition: p\n-- @max_partitions: 10\nSELECT id, p FROM raw.items")]);
    let mut text = String::from("id,p\n");
    for id in 0..1000 {
        // `often` has half of the rows, and comes last in the order of partitions.
        let partition = if id % 2 == 0 { "c-often".to_owned() } else { format!("b-{:02}", id % 50) };
        writeln!(text, "{id},{partition}").unwrap();
    }
    project.put("raw/items/1.csv", text);
    for _ in 0..2 {
        project.run().fails(
            "too-many-partitions",
            &["sql/marts/parted.sql:2", "10 partitions", "`c-often` (500 rows)", "@max_partitions"],
        );
        assert!(project.visible("marts").is_empty());
        assert!(project.rows("marts.parted").is_empty());
    }
    project.sql("marts/parted", "-- @partition: p\nSELECT id, p FROM raw.items");
    project.until_quiet();
    assert_eq!(project.rows("marts.parted").len(), 1000);
}
