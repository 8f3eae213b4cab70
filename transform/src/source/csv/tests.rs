//! Whatever the text and however it comes in pieces: the rows are those of arrow's reader, or both refuse.

use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::compute::kernels::cast_utils::{Parser, parse_decimal};
use arrow::datatypes::{Date32Type, Decimal128Type, Field, Int64Type, Schema};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::*;
use crate::hive::HiveType;

const BATCH: usize = 4;

/// A column of each type that a table may have, as far as CSV has values of it.
const TYPES: [&str; 11] = [
    "string",
    "boolean",
    "tinyint",
    "smallint",
    "int",
    "bigint",
    "float",
    "double",
    "decimal(9,2)",
    "date",
    "timestamp",
];

/// So many cases, or more by `PROPTEST_CASES`.
fn config(cases: u32) -> Config {
    let config = Config::default();
    Config { cases: config.cases.max(cases), ..config }
}

fn symbols(delimiter: u8, quote: u8) -> Symbols {
    Symbols { delimiter, quote, escape: None, comment: None }
}

/// A decoder of fields `f0`, `f1`, … of which some are wanted, in this order; `f9` is in no record.
fn decoder(symbols: Symbols, types: &[DataType], wanted: &[usize], is_quick: bool) -> CsvDecoder {
    let name = |index: usize| format!("f{index}");
    let fields = types.iter().enumerate().map(|(index, data_type)| Field::new(name(index), data_type.clone(), true));
    let mut places: Vec<usize> = Vec::new();
    let mut arrangement = Vec::new();
    let mut columns = Vec::new();
    for index in wanted {
        let is_there = *index < types.len();
        arrangement.push(is_there.then_some(places.len()));
        places.extend(is_there.then_some(*index));
        columns.push(Field::new(name(*index), types.get(*index).unwrap_or(&DataType::Utf8).clone(), true));
    }
    let arrow = arrow::csv::ReaderBuilder::new(Arc::new(Schema::new(fields.collect::<Vec<_>>())))
        .with_delimiter(symbols.delimiter)
        .with_quote(symbols.quote)
        .with_batch_size(BATCH)
        .with_projection(places.clone())
        .build_decoder();
    let decoder = CsvDecoder::new(arrow, arrangement, Arc::new(Schema::new(columns))).unwrap();
    if is_quick { decoder.quick(symbols, types.len(), &places, BATCH) } else { decoder }
}

/// All rows of a text that comes in pieces, as objects are read; and whether the decoder was arrow's at the end.
fn rows(mut decoder: CsvDecoder, pieces: &[&[u8]]) -> Result<(RecordBatch, bool), ArrowError> {
    let mut batches = Vec::new();
    let mut pieces = pieces.iter();
    let (mut pending, mut is_end): (&[u8], bool) = (&[], false);
    loop {
        if pending.is_empty() {
            match pieces.next() {
                Some(piece) => pending = piece,
                None => is_end = true,
            }
        }
        if is_end && pending.is_empty() {
            decoder.end()?;
        }
        let taken = decoder.decode(pending)?;
        pending = &pending[taken..];
        if taken == 0 || !pending.is_empty() || is_end {
            match decoder.flush()? {
                Some(batch) => {
                    assert!(batch.num_rows() <= BATCH);
                    batches.push(batch);
                }
                None if is_end && pending.is_empty() => break,
                None => {}
            }
        }
    }
    Ok((concat_batches(&decoder.wanted, &batches)?, decoder.plain.is_none()))
}

/// Cuts a text at some places.
fn cut<'a>(text: &'a [u8], places: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = places.iter().map(|place| place.index(text.len() + 1)).collect();
    places.extend([0, text.len()]);
    places.sort_unstable();
    places.windows(2).map(|window| &text[window[0]..window[1]]).filter(|piece| !piece.is_empty()).collect()
}

const PLAIN: [&str; 25] = [
    "",
    "",
    "1",
    "-7",
    "300",
    "1.5",
    "12.345",
    "-0.005",
    "1e3",
    "true",
    "FALSE",
    "2026-11-22",
    "2026-11-22 10:00:00.5",
    "2026-11-22T10:00:00Z",
    "é日本",
    "a b",
    " 1",
    "1 ",
    "inf",
    "NaN",
    "+3",
    "00",
    ".5",
    "123456789012345678901",
    "\u{1f389}",
];

/// A value that a type can hold nearly always, written plainly or not.
fn value(hive: &str) -> impl Strategy<Value = String> + use<> {
    let data_type = hive.parse::<HiveType>().unwrap().arrow();
    let can = |text: &&str| {
        rows(decoder(symbols(b',', b'"'), std::slice::from_ref(&data_type), &[0], false), &[text.as_bytes()]).is_ok()
    };
    let good = prop::sample::select(PLAIN.into_iter().filter(can).collect::<Vec<_>>());
    let (is_text, any) = (data_type == DataType::Utf8, prop::sample::select(PLAIN.to_vec()));
    let written = prop::sample::select([[0; 90].as_slice(), &[1; 60], &[2; 40], &[3, 4, 5, 6]].concat());
    (good, any, written, ".{0,90}").prop_map(move |(good, any, written, text)| match written {
        1 => format!("\"{good}\""),
        2 if is_text => format!("\"{}\"", text.replace('"', "")),
        3 => format!("\"{}\"", text.replace('"', "\"\"")),
        4 => format!("\"a,{good}\nb\r\n\""),
        5 => text,
        6 => any.to_owned(),
        _ => good.to_owned(),
    })
}

fn is_as_arrows(text: &[u8], pieces: &[&[u8]], types: &[DataType], wanted: &[usize]) -> Result<bool, TestCaseError> {
    let symbols = symbols(b',', b'"');
    let expected = rows(decoder(symbols, types, wanted, false), pieces);
    let found = rows(decoder(symbols, types, wanted, true), pieces);
    match (expected, found) {
        (Ok((expected, _)), Ok((found, is_arrows))) => {
            prop_assert_eq!(expected, found, "{:?}", String::from_utf8_lossy(text));
            Ok(!is_arrows)
        }
        (Err(_), Err(_)) => Ok(false),
        (expected, found) => {
            let text = String::from_utf8_lossy(text).into_owned();
            Err(TestCaseError::fail(format!("{text:?}: {expected:?}, but {found:?}")))
        }
    }
}

/// Records of a table as most are written. Counted is how often arrow's reader was not needed, for a test that never gets there tests nothing.
#[test]
fn records_are_read_as_by_arrow() {
    let line_end = prop::sample::select(vec!["\n", "\n", "\n", "\r\n", "\r", "\n\n"]);
    let types = prop::collection::vec(prop::sample::select(TYPES.to_vec()), 1..6);
    let table = (types, line_end, any::<bool>()).prop_flat_map(move |(types, line_end, ends)| {
        let row: Vec<_> = types.iter().map(|hive| value(hive)).collect();
        let wanted = prop::collection::vec(prop::sample::select(vec![0, 1, 2, 3, 4, 9]), 0..4);
        (Just(types), prop::collection::vec(row, 0..30), wanted, Just((line_end, ends)))
    });
    let cuts = prop::collection::vec(any::<prop::sample::Index>(), 0..8);
    let mut runner = TestRunner::new(config(4096));
    let counted = std::cell::Cell::new((0_u32, 0_u32));
    runner
        .run(&(table, cuts), |((types, lines, mut wanted, (line_end, ends)), cuts)| {
            let types: Vec<DataType> = types.iter().map(|name| name.parse::<HiveType>().unwrap().arrow()).collect();
            wanted.sort_unstable();
            wanted.dedup();
            let mut text: String = lines.iter().map(|values| values.join(",") + line_end).collect();
            if !ends {
                text.truncate(text.trim_end_matches(['\r', '\n']).len());
            }
            let pieces = cut(text.as_bytes(), &cuts);
            let was_quick = is_as_arrows(text.as_bytes(), &pieces, &types, &wanted)?;
            let (cases, quick) = counted.get();
            counted.set((cases + 1, quick + u32::from(was_quick && lines.len() > 2)));
            Ok(())
        })
        .unwrap();
    let (cases, quick) = counted.get();
    assert!(quick > cases / 8, "{quick} of {cases} were read without arrow's reader");
}

/// Any bytes at all, those that matter often.
#[test]
fn any_bytes_are_read_as_by_arrow() {
    let byte = prop::sample::select(b"\",\r\n1a\xc3\xa9".to_vec());
    let text = prop::collection::vec(byte, 0..200);
    let cuts = prop::collection::vec(any::<prop::sample::Index>(), 0..6);
    let mut runner = TestRunner::new(config(8192));
    runner
        .run(&(text, 1_usize..4, cuts), |(text, width, cuts)| {
            let pieces = cut(&text, &cuts);
            is_as_arrows(&text, &pieces, &vec![DataType::Utf8; width], &[0, 1, 2]).map(drop)
        })
        .unwrap();
}

/// A long record in quotes, and records on both sides of the blocks in which fields are looked for.
#[test]
fn records_of_any_length_are_read() {
    for length in (0..200).chain([LONGEST - 9, LONGEST, LONGEST + 9]) {
        let text = format!("1,\"{}\"\n2,{}\n3,\"x\"\n", "a,\n".repeat(length / 3), "b".repeat(length));
        for piece in [1, 7, 64, 100_000] {
            let pieces: Vec<&[u8]> = text.as_bytes().chunks(piece.max(length / 20)).collect();
            let types = [DataType::Int64, DataType::Utf8];
            let is_quick = is_as_arrows(text.as_bytes(), &pieces, &types, &[0, 1]).unwrap();
            assert_eq!(is_quick, length < LONGEST || piece == 100_000, "{length} in pieces of {piece}");
        }
    }
}

/// One is left out where a text begins, before it comes here; files that were put together have others.
#[test]
fn a_byte_order_mark_within_a_text_is_a_character() {
    for text in ["\u{feff}a\nb\n", "a\n\u{feff}b\n", "a\n\u{feff}b\rc\nd\n", "\u{feff}a\"\nb\n", "a\n\n\u{feff}b\n"] {
        for is_quick in [true, false] {
            let decoder = decoder(symbols(b',', b'"'), &[DataType::Utf8], &[0], is_quick);
            let (found, _) = rows(decoder, &[text.as_bytes()]).unwrap();
            let found = found.column(0).as_string::<i32>();
            assert!(found.iter().any(|value| value.unwrap().starts_with('\u{feff}')), "{text:?}: {found:?}");
        }
    }
}

/// Bits beyond the end of a block that is not full stand for nothing, though a delimiter may be NUL.
#[test]
fn a_delimiter_may_be_any_byte() {
    for delimiter in [b'\0', b'\x01', b'\t', b';', b'|'] {
        let text: Vec<u8> = b"1,'a'\n2,b\n".iter().map(|byte| if *byte == b',' { delimiter } else { *byte }).collect();
        let types = [DataType::Int64, DataType::Utf8];
        let of = |is_quick| rows(decoder(symbols(delimiter, b'\''), &types, &[0, 1], is_quick), &[&text]).unwrap();
        let (found, is_arrows) = of(true);
        assert_eq!((found.num_rows(), is_arrows), (2, false), "{delimiter}");
        assert_eq!(found, of(false).0);
    }
}

/// Every day there is, and what looks like one.
#[test]
fn plain_dates_are_as_by_arrow() {
    for year in 0..10_000 {
        for month in 0..14 {
            for day in [0, 1, 2, 9, 10, 27, 28, 29, 30, 31, 32, 99] {
                let text = format!("{year:04}-{month:02}-{day:02}");
                assert_eq!(plain::date(&text), Date32Type::parse(&text), "{text}");
            }
        }
    }
    assert_eq!(plain::date("1970-01-02"), Some(1));
    for arrows in
        ["", "1996-3-1", "19960301", "+996-03-01", "1996-03-01T", "1996/03/01", "1996-0\u{e9}-1", "1996-03-0:"]
    {
        assert_eq!(plain::date(arrows), None, "{arrows}");
    }
}

/// What is read without arrow's parsers is what they read. Counted is how much that is.
#[test]
fn plain_numbers_are_as_by_arrow() {
    let of_decimals = [(1, 0), (9, 2), (12, 2), (18, 0), (18, 18), (38, 10), (38, 38)];
    let text = "[-+]?0{0,2}[0-9]{0,20}(\\.[0-9]{0,5})?[ e]?";
    let mut runner = TestRunner::new(config(8192));
    let (wholes, decimals) = (std::cell::Cell::new(0), std::cell::Cell::new(0));
    runner
        .run(&(text, prop::sample::select(of_decimals.to_vec())), |(text, (precision, scale))| {
            if let Some(number) = plain::whole(&text) {
                prop_assert_eq!(Some(number), Int64Type::parse(&text), "{}", text);
                wholes.set(wholes.get() + 1);
            }
            if let Some(number) = plain::decimal(&text, precision, scale) {
                let expected = parse_decimal::<Decimal128Type>(&text, precision, scale);
                prop_assert_eq!(number, expected.unwrap(), "{} of {} and {}", text, precision, scale);
                decimals.set(decimals.get() + 1);
            }
            Ok(())
        })
        .unwrap();
    assert!(wholes.get() > 500 && decimals.get() > 500, "{wholes:?} and {decimals:?} were read here");
    for (text, number) in [("0", 0), ("-0", 0), ("007", 7), ("-9999999999999999", -9_999_999_999_999_999)] {
        assert_eq!(plain::whole(text), Some(number), "{text}");
    }
    for (text, number) in [("1", 100), ("-0.05", -5), ("0012.5", 1250), ("9999999.99", 999_999_999)] {
        assert_eq!(plain::decimal(text, 9, 2), Some(number), "{text}");
    }
    assert_eq!(plain::whole(&"\u{7f}".repeat(17)), None);
    assert_eq!(plain::whole(&"\u{7ff}".repeat(8)), None);
    for arrows in ["", "-", "+1", "1.", ".5", "1.234", "10000000", "1e3", " 1", "1_0", "123456789012345678"] {
        assert_eq!(plain::decimal(arrows, 9, 2), None, "{arrows}");
    }
}
