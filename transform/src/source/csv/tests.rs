//! Whatever the text and however it comes in pieces: the rows are those of arrow's reader, or both refuse.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::{Field, Schema};
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
    let decoder = CsvDecoder::new(arrow, arrangement, Arc::new(Schema::new(columns)));
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

/// Days are looked up where they were seen before.
#[test]
fn every_day_is_itself() {
    let day = |n: i64| chrono::DateTime::UNIX_EPOCH + chrono::TimeDelta::days(n);
    let many = (0..40_000).map(|n| day(n * 7919 % 20_011 - 3000).format("%Y-%m-%d\n").to_string());
    let text: String = many.chain(["9996-03-13\n", "1996-03-13\n", "1996-3-1\n"].map(str::to_owned)).collect();
    let of = |is_quick| rows(decoder(symbols(b',', b'"'), &[DataType::Date32], &[0], is_quick), &[text.as_bytes()]);
    assert_eq!(of(true).unwrap().0, of(false).unwrap().0);
    let of = |is_quick| rows(decoder(symbols(b',', b'"'), &[DataType::Date32], &[0], is_quick), &[b"1996-02-30\n"]);
    assert!(of(true).is_err() && of(false).is_err());
}
