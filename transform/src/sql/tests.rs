//! What may stand in a SQL file, and what is read out of it.

use std::time::{Duration, Instant};

use crate::marked::assert_wrong;
use crate::project::Project;
use crate::transform::Transform;

fn transform(text: &str) -> Transform {
    let (project, errors) = Project::parse(vec![("sql/sales/orders.sql".to_owned(), text.as_bytes().to_vec())]);
    assert!(errors.is_empty(), "{text}: {errors:?}");
    project.transforms()[0].clone()
}

fn inputs(text: &str) -> Vec<String> {
    transform(text).inputs.iter().map(|input| input.name.to_string()).collect()
}

fn driving(text: &str) -> Option<String> {
    transform(text).driving.map(|table| table.to_string())
}

/// The code of the one error of a text, found without exhausting stack or patience.
fn code(text: &str) -> Option<String> {
    let begun = Instant::now();
    let (project, errors) = Project::parse(vec![("sql/sales/orders.sql".to_owned(), text.as_bytes().to_vec())]);
    drop(project);
    assert!(begun.elapsed() < Duration::from_secs(20), "took {:?}: {}", begun.elapsed(), &text[..text.len().min(80)]);
    assert!(errors.len() < 2, "{errors:?}");
    errors.first().map(|error| error.code.to_string())
}

#[test]
fn wrong_sql() {
    let wrong: &[(&str, &[&str])] = &[
        // Syntax.
        ("SELECT a,«,»\n  b FROM raw.o", &["syntax"]),
        ("SELECT (a «FROM» raw.o", &["syntax"]),
        ("«SELEC» a FROM raw.o", &["syntax"]),
        ("SELECT a FORM «raw».o", &["syntax"]),
        ("SELECT a FROM raw.o «WHERE»", &["syntax"]),
        ("SELECT a FROM raw.o WHERE a = «'open»", &["syntax"]),
        ("SELECT a FROM raw.o WHERE\r\n\ta = 'ä🦀' «BETWEN» 1", &["syntax"]),
        ("SELECT a FROM raw.o JOIN raw.p ON a = b WHERE a «b» c", &["syntax"]),
        ("SELECT a FROM (SELECT b FROM raw.o WHERE x «y» z) AS t", &["syntax"]),
        ("WITH t AS (SELECT b FRM«.»x FROM raw.o) SELECT a FROM t", &["syntax"]),
        ("SELECT CAST(a «INT») FROM raw.o", &["syntax"]),
        ("«{»{ config(x) }}\nSELECT a FROM raw.o", &["syntax"]),
        // Not a SELECT.
        ("«CREATE» TABLE x AS SELECT a FROM raw.o", &["not-a-select"]),
        ("«create» EXTERNAL TABLE x STORED AS CSV LOCATION 'x'", &["not-a-select"]),
        ("-- c\n«COPY» (SELECT a FROM raw.o) TO 's3://x' STORED AS PARQUET", &["not-a-select"]),
        ("«INSERT» INTO x.y SELECT a FROM raw.o", &["not-a-select"]),
        ("«SET» x = 1", &["not-a-select"]),
        ("«EXPLAIN» SELECT a FROM raw.o", &["not-a-select"]),
        ("«SHOW» TABLES", &["not-a-select"]),
        ("«VALUES» (1), (2)", &["not-a-select"]),
        ("(«VALUES» (1))", &["not-a-select"]),
        ("WITH t AS (SELECT 1 AS a) «VALUES» (1)", &["not-a-select"]),
        ("«TABLE» raw.o", &["not-a-select"]),
        ("SELECT a FROM raw.o UNION ALL «TABLE» raw.o", &["not-a-select"]),
        ("SELECT a INTO «x.y» FROM raw.o", &["not-a-select"]),
        ("WITH t AS (SELECT a FROM raw.o) «INSERT» INTO x.y SELECT a FROM t", &["not-a-select"]),
        ("WITH t AS («DELETE» FROM raw.o RETURNING a) SELECT a FROM t", &["not-a-select"]),
        ("«-»- only prose\n", &["not-a-select"]),
        ("«;»", &["not-a-select"]),
        // Several.
        ("SELECT a FROM raw.o;\n«SELECT» b FROM raw.o;", &["several-statements"]),
        ("«DROP» TABLE x; «SELECT» a FROM raw.o", &["not-a-select", "several-statements"]),
        ("SELECT a FROM «o»; «SELECT» 1", &["unknown-table", "several-statements"]),
        // Tables.
        ("SELECT a FROM «orders»", &["unknown-table"]),
        ("SELECT a FROM «glue.raw.orders»", &["unknown-table"]),
        ("SELECT a FROM raw.o WHERE x IN (SELECT y FROM «lookup»)", &["unknown-table"]),
        ("SELECT a FROM «raw.\"O\"»", &["unknown-table"]),
        ("SELECT (SELECT max(b) FROM «p») AS m, a FROM raw.o, «q»", &["unknown-table", "unknown-table"]),
        ("WITH t AS (SELECT a FROM «t») SELECT a FROM t", &["unknown-table"]),
        ("WITH t AS (SELECT a FROM «u»), u AS (SELECT a FROM raw.o) SELECT a FROM t, u", &["unknown-table"]),
        ("SELECT a FROM (WITH t AS (SELECT a FROM raw.o) SELECT a FROM t) AS s, «t»", &["unknown-table"]),
        // Files and table functions.
        ("SELECT a FROM «'/etc/passwd'»", &["file-access"]),
        ("SELECT a FROM «\"data/o.csv\"»", &["file-access"]),
        ("SELECT a FROM «\"o.parquet\"»", &["file-access"]),
        ("SELECT a FROM «'s3://bucket/x'» AS t", &["file-access"]),
        ("SELECT a FROM raw.o JOIN «read_csv»('x.csv') AS t ON true", &["file-access"]),
        ("SELECT value FROM «generate_series»(1, 10)", &["file-access"]),
        ("SELECT value FROM «range»(1, 10)", &["file-access"]),
        ("SELECT a FROM raw.o, LATERAL «range»(1, o.a) AS t", &["file-access"]),
        // Read by the parser, passed over by the planner.
        ("SELECT a FROM «raw.o» TABLESAMPLE (10 PERCENT)", &["not-supported"]),
        ("SELECT a FROM raw.o «PREWHERE» a = 1", &["not-supported"]),
        ("SELECT a FROM raw.o «FOR» UPDATE", &["not-supported"]),
        ("SELECT a FROM raw.o «SETTINGS» x = 1", &["not-supported"]),
    ];
    assert_wrong(wrong);
}

#[test]
fn an_empty_file_is_no_select() {
    for text in ["", "\n\n", "  ", "/* nothing */"] {
        let (_, errors) = Project::parse(vec![("sql/sales/orders.sql".to_owned(), text.as_bytes().to_vec())]);
        let at = errors[0].at.clone().unwrap();
        assert_eq!((errors.len(), errors[0].code.as_str()), (1, "not-a-select"));
        assert_eq!((at.line, at.column, at.length), (1, 1, 1));
    }
}

#[test]
fn what_a_syntax_error_says() {
    let told = |text: &str| {
        let (_, errors) = Project::parse(vec![("sql/sales/orders.sql".to_owned(), text.as_bytes().to_vec())]);
        (errors[0].message.clone(), errors[0].help.clone().unwrap())
    };
    let (message, help) = told("SELECT a FORM raw.o");
    assert_eq!(message, "expected the end of the query, found `raw`");
    assert_eq!(help, "did you mean `FROM` instead of `FORM`?");
    assert_eq!(told("SELECT a,\n CASE WHEN b THEN c FROM raw.o").1, "the `CASE` on line 2 has no `END`");
    assert_eq!(told("SELEC a FROM raw.o").0, "expected a SELECT, found `SELEC`");
    assert!(told("SELEC a FROM raw.o").1.contains("`SELECT`"));
    assert!(told("{{ config() }}").1.contains("no templates"));
    assert_eq!(told("SELECT a FROM raw.o WHERE").0, "expected an expression, but the query ends here");
    assert!(told("WITH orders AS (SELECT a FROM raw.o) SELECT a FROM order").1.contains("`orders`"));
}

#[test]
fn right_statements() {
    for text in [
        "SELECT a FROM raw.o;",
        "SELECT a FROM raw.o;\n;\n-- the end",
        "(SELECT a FROM raw.o)",
        "SELECT a FROM raw.o UNION ALL (SELECT a FROM raw.p ORDER BY a LIMIT 3)",
        "FROM raw.o SELECT a",
        "SELECT x FROM raw.o, UNNEST([1, 2]) AS t(x)",
        "SELECT * FROM (VALUES (1), (2)) AS t(x)",
        "SELECT a FROM raw.\"o\" WHERE b = 'x.csv' AND c = '/etc' -- fine",
        "SELECT a IS DISTINCT FROM b AS c FROM raw.o",
        "SELECT 1 AS one",
        "SELECT a FROM data.csv",
    ] {
        transform(text);
    }
}

#[test]
fn inputs_in_order_of_appearance() {
    assert_eq!(inputs("SELECT a FROM Raw.Orders o LEFT JOIN raw.customers c ON true"), ["raw.orders", "raw.customers"]);
    assert_eq!(inputs("SELECT a FROM raw.b, raw.a JOIN raw.c ON true, raw.b AS again"), ["raw.b", "raw.a", "raw.c"]);
    assert_eq!(
        inputs(
            "SELECT (SELECT max(x) FROM raw.m) FROM raw.o WHERE EXISTS (SELECT 1 FROM raw.e) \
                       GROUP BY a HAVING a IN (SELECT x FROM raw.h) ORDER BY (SELECT 1 FROM raw.s)"
        ),
        ["raw.m", "raw.o", "raw.e", "raw.h", "raw.s"]
    );
    assert_eq!(
        inputs("SELECT a FROM raw.a UNION SELECT b FROM (raw.b JOIN raw.c ON true) EXCEPT (SELECT c FROM raw.d)"),
        ["raw.a", "raw.b", "raw.c", "raw.d"]
    );
    assert_eq!(inputs("SELECT 1 AS one"), [] as [&str; 0]);
}

#[test]
fn an_input_is_placed_where_it_is_first_named() {
    let transform = transform("SELECT a\nFROM raw.o AS x\nJOIN raw.p ON true\nJOIN raw.o ON true");
    let places: Vec<(usize, usize, usize)> =
        transform.inputs.iter().map(|input| (input.at.line, input.at.column, input.at.length)).collect();
    assert_eq!(places, [(2, 6, 5), (3, 6, 5)]);
    assert_eq!(transform.inputs[0].at.text, "FROM raw.o AS x");
}

#[test]
fn names_of_with_are_no_inputs_where_they_are_in_scope() {
    assert_eq!(inputs("WITH o AS (SELECT a FROM raw.o), p AS (SELECT a FROM O) SELECT a FROM P"), ["raw.o"]);
    // A name with a database is never one of WITH.
    assert_eq!(inputs("WITH o AS (SELECT a FROM raw.x) SELECT a FROM raw.o JOIN o ON true"), ["raw.x", "raw.o"]);
    // An inner name hides an outer one, and only inside.
    let nested = "WITH t AS (SELECT a FROM raw.outer_t) SELECT a FROM (WITH t AS (SELECT a FROM raw.inner_t) \
                  SELECT a FROM t) AS x JOIN t ON true";
    assert_eq!(inputs(nested), ["raw.outer_t", "raw.inner_t"]);
    assert_eq!(driving(nested).as_deref(), Some("raw.inner_t"));
    // Subqueries see the names of the queries around them.
    assert_eq!(
        inputs("WITH t AS (SELECT a FROM raw.o) SELECT a FROM raw.p WHERE a IN (SELECT a FROM t)"),
        ["raw.o", "raw.p"]
    );
    assert_eq!(
        inputs("WITH RECURSIVE t AS (SELECT a FROM raw.o UNION ALL SELECT a FROM t) SELECT a FROM t"),
        ["raw.o"]
    );
    assert_eq!(inputs("WITH \"T\" AS (SELECT a FROM raw.o) SELECT a FROM \"T\""), ["raw.o"]);
}

#[test]
fn the_leftmost_table_drives() {
    for (text, table) in [
        ("SELECT a FROM raw.o JOIN raw.p ON true", "raw.o"),
        ("SELECT (SELECT 1 FROM raw.s) FROM raw.o", "raw.o"),
        ("WITH p AS (SELECT a FROM raw.p), o AS (SELECT a FROM raw.o) SELECT a FROM o JOIN p ON true", "raw.o"),
        ("WITH o AS (SELECT a FROM raw.o), p AS (SELECT a FROM o) SELECT a FROM (SELECT a FROM p) AS x", "raw.o"),
        ("SELECT a FROM ((raw.o JOIN raw.p ON true) JOIN raw.q ON true)", "raw.o"),
        ("SELECT a FROM UNNEST([1]) AS u(a) CROSS JOIN raw.o", "raw.o"),
        ("SELECT a FROM (VALUES (1)) AS v(a), raw.o", "raw.o"),
        ("(SELECT a FROM raw.o) UNION ALL SELECT a FROM raw.p", "raw.o"),
        ("WITH RECURSIVE t AS (SELECT a FROM raw.o UNION ALL SELECT a FROM t) SELECT a FROM t", "raw.o"),
        // Two names with the same text are two tables: the inner `o` is not its own source.
        ("WITH o AS (SELECT a FROM raw.o) SELECT a FROM (WITH o AS (SELECT a FROM o) SELECT a FROM o) AS x", "raw.o"),
        ("-- @driving: raw.p\nSELECT a FROM raw.o JOIN raw.p ON true", "raw.p"),
    ] {
        assert_eq!(driving(text).as_deref(), Some(table), "{text}");
    }
    assert_eq!(driving("SELECT 1 AS a"), None);
}

#[test]
fn comments_of_columns() {
    let text = "-- @owner: me\nSELECT -- not a column\n  o.Order_Id,            -- Order number\n  \
        CAST(o.amount AS DECIMAL(12, 2)) -- inside, no\n    AS amount,\n  c.segment -- Segment: a, b (c)\n  , d, e, -- only e\n  \
        f + -- no\n  g AS h, --   H\n  i, /* no */\n  -- not this either\n  j, -- noqa: L001\n  a IS DISTINCT FROM b AS k, -- K\n  \
        \"Big\" -- größe 🦀\nFROM raw.o AS o -- not a column\nJOIN raw.c AS c ON true -- nor this\n";
    let comments: Vec<(String, String)> = transform(text).comments.into_iter().collect();
    let expected = [
        ("big", "größe 🦀"),
        ("e", "only e"),
        ("h", "H"),
        ("k", "K"),
        ("order_id", "Order number"),
        ("segment", "Segment: a, b (c)"),
    ];
    assert_eq!(comments, expected.map(|(name, text)| (name.to_owned(), text.to_owned())));
}

#[test]
fn comments_come_from_the_main_select() {
    let text = "WITH t AS (\n  SELECT a -- inner\n  FROM raw.o)\nSELECT a, -- outer\n  *\nFROM t\nUNION ALL\nSELECT a, -- second\n  b FROM t";
    let comments = transform(text).comments;
    assert_eq!(comments.get("a").map(String::as_str), Some("outer"));
    assert_eq!(comments.len(), 1);
    let crlf = "SELECT a, -- A\r\n  b -- B\r\nFROM raw.o\r\n";
    let comments: Vec<String> = transform(crlf).comments.into_values().collect();
    assert_eq!(comments, ["A", "B"]);
}

#[test]
fn no_text_exhausts_the_stack_or_the_parser() {
    let nested = |open: &str, inside: &str, close: &str, times: usize| {
        format!("SELECT {}{inside}{} AS a FROM raw.o", open.repeat(times), close.repeat(times))
    };
    let complex = Some("query-too-complex");
    for times in [2_000, 10_000, 50_000] {
        assert_eq!(code(&nested("(", "1", ")", times)).as_deref(), complex);
        assert_eq!(code(&nested("[", "1", "]", times)).as_deref(), complex);
        assert_eq!(code(&nested("f(", "1", ")", times)).as_deref(), complex);
        assert_eq!(code(&nested("NOT ", "a", "", times)).as_deref(), complex);
        assert_eq!(code(&nested("- ", "a", "", times)).as_deref(), complex);
        assert_eq!(code(&nested("CASE WHEN true THEN ", "1", " END", times)).as_deref(), complex);
        assert_eq!(code(&nested("", "a", "::INT", times)).as_deref(), complex);
        assert_eq!(code(&nested("", "a", " + 1", times)).as_deref(), complex);
        assert_eq!(code(&nested("", "a", " IS NULL", times)).as_deref(), complex);
        assert_eq!(code(&nested("a AND ", "a", "", times + 1)).as_deref(), complex);
        assert_eq!(code(&nested("", "a", " UNION SELECT 1", times + 1)).as_deref(), complex);
        assert_eq!(code(&format!("SELECT a FROM {}raw.o{}", "(".repeat(times), ")".repeat(times))).as_deref(), complex);
        let types = format!("SELECT CAST(a AS {}INT{}) FROM raw.o", "ARRAY<".repeat(times), ">".repeat(times));
        assert_eq!(code(&types).as_deref(), complex);
        let types = format!("SELECT CAST(a AS INT{}) FROM raw.o", "[]".repeat(times));
        assert_eq!(code(&types).as_deref(), complex);
    }
    assert_eq!(code(&format!("SELECT '{}' AS a FROM raw.o", "x".repeat(1 << 20))).as_deref(), complex);
    let tables: Vec<String> = (0..1_100).map(|number| format!("raw.t{number}")).collect();
    assert_eq!(code(&format!("SELECT 1 AS a FROM {}", tables.join(", "))).as_deref(), complex);
}

#[test]
fn mistakes_deep_inside_are_found_in_time() {
    for (open, close) in
        [("NOT(", ")"), ("CAST(", " AS INT)"), ("CASE(", ")"), ("EXISTS(SELECT ", ")"), ("FLOOR(", ")")]
    {
        for times in [8, 16, 60] {
            let text = format!("SELECT {}1 1{} FROM raw.o", open.repeat(times), close.repeat(times));
            let code = code(&text).unwrap();
            assert!(["syntax", "query-too-complex"].contains(&code.as_str()), "{code}: {text}");
        }
    }
    for times in [3, 8, 16, 40] {
        let text = format!("SELECT a FROM {}raw.o x y{}", "((SELECT a FROM ".repeat(times), "))".repeat(times));
        let code = code(&text).unwrap();
        assert!(["syntax", "query-too-complex"].contains(&code.as_str()), "{code}: {text}");
    }
}

#[test]
fn what_people_write_is_not_too_complex() {
    let items: Vec<String> = (0..20_000).map(|number| number.to_string()).collect();
    let columns: Vec<String> = (0..800).map(|number| format!("CAST(c{number} AS INT) + 1 AS d{number}")).collect();
    for text in [
        format!("SELECT a FROM raw.o WHERE {}a = 0", "a = 1 OR ".repeat(400)),
        format!("SELECT {}a{} AS a FROM raw.o", "coalesce(".repeat(30), ", 0)".repeat(30)),
        format!("SELECT {}1{} AS a FROM raw.o", "(".repeat(60), ")".repeat(60)),
        format!("SELECT a FROM raw.o WHERE a IN ({})", items.join(", ")),
        format!("SELECT {} FROM raw.o", columns.join(",\n")),
        format!("SELECT CASE {} END AS a FROM raw.o", "WHEN a = 1 AND b = 2 THEN c + 1 ".repeat(500)),
        format!("SELECT a FROM raw.o{}", " UNION ALL SELECT a FROM raw.o".repeat(90)),
        format!("SELECT a FROM {}raw.o{}", "(SELECT a FROM ".repeat(12), ") AS t".repeat(12)),
    ] {
        let code = code(&text);
        assert_eq!(code, None, "{}", &text[..120]);
    }
}

#[test]
fn what_is_just_allowed_fits_the_stack() {
    for text in [
        format!("SELECT {}a AS b FROM raw.o", "a OR ".repeat(990)),
        format!("SELECT a{} AS b FROM raw.o", "::INT".repeat(990)),
        format!("SELECT a FROM raw.o{}", " UNION ALL SELECT a FROM raw.o".repeat(100)),
        format!("SELECT {}1{} AS a FROM raw.o", "(".repeat(95), ")".repeat(95)),
        format!("SELECT CAST(a AS {}INT{}) AS b FROM raw.o", "ARRAY<".repeat(90), ">".repeat(90)),
        format!("SELECT {}1{} AS a FROM raw.o", "abs(".repeat(95), ")".repeat(95)),
        format!("SELECT {}1{} AS a FROM raw.o", "CASE WHEN a THEN ".repeat(95), " END".repeat(95)),
        format!("SELECT a FROM {}raw.o{}", "(SELECT a FROM ".repeat(40), ") AS t".repeat(40)),
        format!("SELECT a FROM raw.o{}{}", " WHERE a IN (SELECT a FROM raw.o".repeat(40), ")".repeat(40)),
    ] {
        let transform = transform(&text);
        // Others copy, print and drop the syntax tree.
        let copy = transform.query.clone();
        assert_eq!(copy.to_string(), transform.query.to_string());
    }
}

#[test]
fn a_long_chain_of_with_is_followed() {
    let mut text = "WITH t0 AS (SELECT a FROM raw.o)".to_owned();
    for number in 1..800 {
        text += &format!(", t{number} AS (SELECT a FROM t{} JOIN t{} ON true)", number - 1, number - 1);
    }
    assert_eq!(driving(&(text + " SELECT a FROM t799")).as_deref(), Some("raw.o"));
    let mut empty = "WITH t0 AS (SELECT 1 AS a)".to_owned();
    for number in 1..100 {
        empty += &format!(", t{number} AS (SELECT a FROM t{} JOIN t{} ON true)", number - 1, number - 1);
    }
    assert_eq!(driving(&(empty + " SELECT a FROM t99")), None, "each is followed once");
}
