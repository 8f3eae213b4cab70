use std::collections::BTreeMap;

use super::*;
use crate::format::{Format, JsonOptions};
use crate::table::{Column, TableName};

const LOCATION: &str = "s3://b/logs/";

fn table(keys: &[&str], parameters: &[(&str, &str)]) -> Table {
    let key = |name: &&str| Column { name: (*name).to_owned(), hive_type: "string".parse().unwrap(), comment: None };
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    let mut parameters: BTreeMap<String, String> = parameters.iter().map(owned).collect();
    parameters.entry("projection.enabled".into()).or_insert("true".into());
    Table {
        name: TableName::new("raw", "logs").unwrap(),
        columns: Vec::new(),
        partition_keys: keys.iter().map(key).collect(),
        format: Format::Json(JsonOptions::default()),
        location: LOCATION.into(),
        description: None,
        parameters,
        version: None,
    }
}

fn projection(keys: &[&str], parameters: &[(&str, &str)]) -> Projection {
    Projection::of(&table(keys, parameters), Some("2026-11-25T10:30:00Z".parse().unwrap())).unwrap().unwrap()
}

/// Values and the path below the partition.
fn place(projection: &Projection, below: &str) -> Option<String> {
    let url = format!("{LOCATION}{below}");
    let (values, below) = projection.place(&url)?;
    Some(format!("{} {below}", values.into_iter().map(|value| value.unwrap_or_default()).collect::<Vec<_>>().join(" ")))
}

/// Of some values of one key those that are projected.
fn projected<'a>(parameters: &[(&str, &str)], values: &[&'a str]) -> Vec<&'a str> {
    let projection = projection(&["k"], parameters);
    values.iter().copied().filter(|value| place(&projection, &format!("k={value}/x")).is_some()).collect()
}

#[test]
fn without_a_template_folders_are_those_of_hive() {
    let projection = projection(
        &["region", "year"],
        &[
            ("projection.region.type", "enum"),
            ("projection.region.values", "eu, us-east,us"),
            ("projection.year.type", "integer"),
            ("projection.year.range", "2020,2030"),
        ],
    );
    assert_eq!(projection.root(), LOCATION);
    assert_eq!(place(&projection, "region=us-east/year=2026/a/b.json").as_deref(), Some("us-east 2026 a/b.json"));
    for none in [
        "region=us/year=2019/x",
        "region=asia/year=2026/x",
        "region=us/year=2026",
        "region=us/year=2026/",
        "region=us/x",
        "year=2026/region=us/x",
        "x",
    ] {
        assert_eq!(place(&projection, none), None, "{none}");
    }
    assert!(projection.place("s3://other/logs/region=us/year=2026/x").is_none());
}

#[test]
fn a_template_says_where_the_values_stand() {
    let projection = projection(
        &["day", "host"],
        &[
            ("projection.day.type", "date"),
            ("projection.day.range", "2026/01/01,NOW"),
            ("projection.day.format", "yyyy/MM/dd"),
            ("projection.host.type", "injected"),
            ("storage.location.template", "s3://b/logs/${host}/log-${day}-${host}/"),
        ],
    );
    assert_eq!(projection.root(), LOCATION);
    assert_eq!(place(&projection, "web1/log-2026/11/25-web1/x.json").as_deref(), Some("2026/11/25 web1 x.json"));
    assert_eq!(place(&projection, "web1/log-2026/11/25-web2/x.json"), None, "one key has one value");
    assert_eq!(place(&projection, "web1/log-2026/11/26-web1/x.json"), None, "it has not come yet");
    assert_eq!(place(&projection, "web1/log-2025/12/31-web1/x.json"), None);
}

#[test]
fn integers() {
    let integer = |more: &[(&'static str, &'static str)], values: &[&'static str]| {
        let mut parameters = vec![("projection.k.type", "integer")];
        parameters.extend(more);
        projected(&parameters, values)
    };
    assert_eq!(integer(&[("projection.k.range", "1,12")], &["0", "1", "01", "12", "13", "x", "1x", ""]), ["1", "12"]);
    assert_eq!(
        integer(
            &[("projection.k.range", "1,120"), ("projection.k.digits", "2")],
            &["1", "01", "012", "12", "100", "0100"]
        ),
        ["01", "12", "100"]
    );
    assert_eq!(
        integer(&[("projection.k.range", "0,60"), ("projection.k.interval", "15")], &["0", "10", "15", "60"]),
        ["0", "15", "60"]
    );
    assert_eq!(integer(&[("projection.k.range", "-2,2")], &["-3", "-2", "-0", "0", "2"]), ["-2", "-0", "0", "2"]);
    assert_eq!(integer(&[("projection.k.range", "0,9223372036854775807")], &["99999999999999999999", "7"]), ["7"]);
}

#[test]
fn dates() {
    let date =
        |range: &'static str, format: &'static str, more: &[(&'static str, &'static str)], values: &[&'static str]| {
            let mut parameters =
                vec![("projection.k.type", "date"), ("projection.k.range", range), ("projection.k.format", format)];
            parameters.extend(more);
            projected(&parameters, values)
        };
    let days = ["2026-11-22", "2026-11-23", "2026-11-25", "2026-11-26", "2026-02-30", "2026-11-2", "2026/11/23"];
    assert_eq!(date("2026-11-23,NOW", "yyyy-MM-dd", &[], &days), ["2026-11-23", "2026-11-25"]);
    assert_eq!(date("NOW-2DAYS,NOW+1DAY", "yyyy-MM-dd", &[], &days), ["2026-11-25", "2026-11-26"]);
    assert_eq!(
        date("2026-11,2027-01", "yyyy-MM", &[], &["2026-10", "2026-11", "2027-01", "2026-13"]),
        ["2026-11", "2027-01"]
    );
    assert_eq!(date("20261101,20261130", "yyyyMMdd", &[], &["20261101", "2026110", "20261201"]), ["20261101"]);
    let hours = ["2026-11-25-10", "2026-11-25-11", "2026-11-25-24"];
    assert_eq!(date("2026-11-25-00,NOW", "yyyy-MM-dd-HH", &[], &hours), ["2026-11-25-10"]);
    assert_eq!(
        date("2026-11-25T00,NOW", "yyyy-MM-dd'T'HH", &[], &["2026-11-25T09", "2026-11-25-09"]),
        ["2026-11-25T09"]
    );
    let weekly = [("projection.k.interval", "1"), ("projection.k.interval.unit", "WEEKS")];
    assert_eq!(date("2026-11-02,NOW", "yyyy-MM-dd", &weekly, &["2026-11-09", "2026-11-10"]), ["2026-11-09"]);
    let second_month = [("projection.k.interval", "2"), ("projection.k.interval.unit", "months")];
    assert_eq!(
        date("2026-01,NOW", "yyyy-MM", &second_month, &["2026-02", "2026-03", "2026-11"]),
        ["2026-03", "2026-11"]
    );
}

#[test]
fn without_a_clock_a_range_up_to_now_has_no_end() {
    let parameters = [
        ("projection.k.type", "date"),
        ("projection.k.range", "2026-01-01,NOW"),
        ("projection.k.format", "yyyy-MM-dd"),
    ];
    let projection = Projection::of(&table(&["k"], &parameters), None).unwrap().unwrap();
    assert!(place(&projection, "k=2030-01-01/x").is_some() && place(&projection, "k=2025-01-01/x").is_none());
}

#[test]
fn what_is_wrong_names_the_parameter() {
    for (parameters, wrong) in [
        (&[][..], "`projection.k.type` is missing"),
        (&[("projection.k.type", "list")], "`projection.k.type` is none of"),
        (&[("projection.k.type", "enum")], "`projection.k.values` is missing"),
        (&[("projection.k.type", "integer"), ("projection.k.range", "1")], "`projection.k.range` is not `first,last`"),
        (&[("projection.k.type", "integer"), ("projection.k.range", "1,x")], "`projection.k.range` has `x`"),
        (&[("projection.k.type", "date"), ("projection.k.range", "2026,NOW")], "`projection.k.format` is missing"),
        (
            &[("projection.k.type", "date"), ("projection.k.range", "2026,NOW"), ("projection.k.format", "EEE yyyy")],
            "`projection.k.format` is `EEE yyyy`",
        ),
        (
            &[("projection.k.type", "date"), ("projection.k.range", "2026,THEN"), ("projection.k.format", "yyyy")],
            "`projection.k.range` has `THEN`",
        ),
        (
            &[("projection.k.type", "date"), ("projection.k.range", "NOW-3MOONS,NOW"), ("projection.k.format", "yyyy")],
            "`projection.k.range` has `NOW-3MOONS`",
        ),
        (
            &[("projection.k.type", "injected"), ("storage.location.template", "s3://b/${j}/")],
            "`storage.location.template` names `j`",
        ),
        (&[("projection.k.type", "injected"), ("storage.location.template", "s3://b/${k/")], "has a `${` without `}`"),
        (
            &[("projection.k.type", "injected"), ("storage.location.template", "s3://b/logs/")],
            "does not name the partition key `k`",
        ),
    ] {
        let error = Projection::of(&table(&["k"], parameters), None).unwrap_err();
        assert_eq!(error.code, Code::UnsupportedTable);
        assert!(error.message.contains(wrong), "{} is not about {wrong}", error.message);
    }
    let off = table(&["k"], &[("projection.enabled", "false")]);
    assert!(Projection::of(&off, None).unwrap().is_none() && Projection::of(&table(&[], &[]), None).unwrap().is_none());
}

proptest::proptest! {
    #[test]
    fn no_text_is_too_odd(format in "[yMdHms'/T é-]{0,12}", value in ".{0,20}", range in ".{0,12},.{0,12}") {
        let parameters = [("projection.k.type", "date"), ("projection.k.range", range.as_str()), ("projection.k.format", format.as_str())];
        if let Ok(Some(projection)) = Projection::of(&table(&["k"], &parameters), None) {
            let _ = place(&projection, &format!("k={value}/x"));
        }
        let integer = [("projection.k.type", "integer"), ("projection.k.range", "-5,5"), ("projection.k.digits", "2")];
        let _ = place(&projection(&["k"], &integer), &format!("k={value}/x"));
    }
}
