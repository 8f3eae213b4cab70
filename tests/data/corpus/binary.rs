//! Parquet, Avro and ORC: cut, damaged, with other columns and types.

use std::io::Write;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow_avro::compression::CompressionCodec;
use arrow_avro::writer::WriterBuilder;
use arrow_avro::writer::format::AvroOcfFormat;
use orc_rust::ArrowWriterBuilder;
use orc_rust::compression::CompressionType;

use super::Becomes::{Count, Refused, Rows};
use super::{Case, case, check};
use crate::pack::{gzip, parquet};

fn columns(rows: &[(i64, &str)]) -> [(&'static str, ArrayRef); 2] {
    let (ids, names): (Vec<i64>, Vec<&str>) = rows.iter().copied().unzip();
    [("id", Arc::new(Int64Array::from(ids))), ("name", Arc::new(StringArray::from(names)))]
}

pub(super) fn parquet_rows(rows: &[(i64, &str)]) -> Vec<u8> {
    parquet(&columns(rows))
}

pub(super) fn avro_rows(rows: &[(i64, &str)], codec: Option<CompressionCodec>) -> Vec<u8> {
    avro(&columns(rows), codec)
}

fn avro(columns: &[(&str, ArrayRef)], codec: Option<CompressionCodec>) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter(columns.iter().map(|(name, column)| (*name, Arc::clone(column)))).unwrap();
    let mut content = Vec::new();
    let writer = WriterBuilder::new(batch.schema().as_ref().clone()).with_compression(codec);
    let mut writer = writer.build::<_, AvroOcfFormat>(&mut content).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    drop(writer);
    content.flush().unwrap();
    content
}

pub(super) fn orc_rows(rows: &[(i64, &str)]) -> Vec<u8> {
    orc(&columns(rows), None)
}

fn orc(columns: &[(&str, ArrayRef)], codec: Option<CompressionType>) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter(columns.iter().map(|(name, column)| (*name, Arc::clone(column)))).unwrap();
    let mut content = Vec::new();
    let mut writer = ArrowWriterBuilder::new(&mut content, batch.schema());
    if let Some(codec) = codec {
        writer = writer.with_compression(codec);
    }
    let mut writer = writer.try_build().unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    content
}

fn parquet_cases() -> Vec<Case> {
    let good = parquet_rows(&[(2, "b"), (3, "c")]);
    let footer_of = |length: u32| [b"PAR1".as_slice(), &length.to_le_bytes(), b"PAR1"].concat();
    let mut damaged = good.clone();
    damaged[8..24].fill(0xFF);
    let text: ArrayRef = Arc::new(StringArray::from(vec!["b"]));
    let narrow: ArrayRef = Arc::new(Int32Array::from(vec![2]));
    let number: ArrayRef = Arc::new(Float64Array::from(vec![2.5]));
    let id: ArrayRef = Arc::new(Int64Array::from(vec![2]));
    let more: ArrayRef = Arc::new(Float64Array::from(vec![0.5]));
    let mut wide: Vec<(String, ArrayRef)> = vec![("id".into(), id.clone()), ("name".into(), text.clone())];
    wide.extend((0..2000).map(|index| (format!("c{index}"), more.clone())));
    let wide: Vec<(&str, ArrayRef)> = wide.iter().map(|(name, column)| (name.as_str(), column.clone())).collect();
    vec![
        case("parquet_good", "x.parquet", &good, Rows(&["2|b", "3|c"], 0)),
        case("parquet_no_suffix", "part-0000", &good, Rows(&["2|b", "3|c"], 0)),
        case("parquet_named_csv", "x.csv", &good, Rows(&["2|b", "3|c"], 0)),
        case("parquet_no_rows", "x.parquet", parquet_rows(&[]), Rows(&[], 0)),
        case("parquet_empty", "x.parquet", "", Rows(&[], 0)),
        case("parquet_one_byte", "x.parquet", "P", Refused("bad-object")),
        case("parquet_magic_only", "x.parquet", "PAR1", Refused("bad-object")),
        case("parquet_magics", "x.parquet", "PAR1PAR1", Refused("bad-object")),
        case("parquet_no_footer", "x.parquet", footer_of(0), Refused("bad-object")),
        case("parquet_footer_of_gigabytes", "x.parquet", footer_of(u32::MAX - 8), Refused("bad-object")),
        case("parquet_footer_past_start", "x.parquet", footer_of(64), Refused("bad-object")),
        case("parquet_cut", "x.parquet", &good[..good.len() - 5], Refused("bad-object")),
        case("parquet_start_cut", "x.parquet", &good[10..], Refused("bad-object")),
        case("parquet_damaged_page", "x.parquet", damaged, Refused("bad-object")),
        case("parquet_is_csv", "x.parquet", "id,name\n2,b\n", Refused("bad-object")),
        case("parquet_is_gzip", "x.parquet", gzip("id,name\n2,b\n"), Refused("bad-object")),
        case(
            "parquet_other_case",
            "x.parquet",
            parquet(&[("ID", id.clone()), ("Name", text.clone())]),
            Rows(&["2|b"], 0),
        ),
        case(
            "parquet_reordered",
            "x.parquet",
            parquet(&[("name", text.clone()), ("id", id.clone())]),
            Rows(&["2|b"], 0),
        ),
        case("parquet_fewer_columns", "x.parquet", parquet(&[("id", id.clone())]), Rows(&["2|NULL"], 0)),
        case("parquet_more_columns", "x.parquet", parquet(&wide), Rows(&["2|b"], 0)),
        case("parquet_other_columns", "x.parquet", parquet(&[("other", id.clone())]), Refused("column-mismatch")),
        case("parquet_narrower", "x.parquet", parquet(&[("id", narrow), ("name", text.clone())]), Rows(&["2|b"], 0)),
        case("parquet_other_type", "x.parquet", parquet(&[("id", number), ("name", text)]), Refused("column-mismatch")),
    ]
}

fn avro_cases() -> Vec<Case> {
    let rows: &[(i64, &str)] = &[(2, "b"), (3, "c")];
    let good = avro_rows(rows, None);
    let text: ArrayRef = Arc::new(StringArray::from(vec!["b"]));
    let id: ArrayRef = Arc::new(Int64Array::from(vec![2]));
    let mut damaged = good.clone();
    let end = damaged.len();
    damaged[end - 20..end - 16].fill(0xFF);
    let mut cases = vec![
        case("avro_good", "x.avro", &good, Rows(&["2|b", "3|c"], 0)),
        case("avro_no_suffix", "part-0000", &good, Rows(&["2|b", "3|c"], 0)),
        case("avro_packed", "x.avro.gz", gzip_bytes(&good), Rows(&["2|b", "3|c"], 0)),
        case("avro_other_case", "x.avro", avro(&[("ID", id.clone()), ("Name", text.clone())], None), Rows(&["2|b"], 0)),
        case("avro_reordered", "x.avro", avro(&[("name", text.clone()), ("id", id.clone())], None), Rows(&["2|b"], 0)),
        case("avro_fewer_columns", "x.avro", avro(&[("id", id.clone())], None), Rows(&["2|NULL"], 0)),
        case(
            "avro_more_columns",
            "x.avro",
            avro(&[("id", id.clone()), ("name", text.clone()), ("more", id.clone())], None),
            Rows(&["2|b"], 0),
        ),
        case("avro_other_columns", "x.avro", avro(&[("other", id)], None), Refused("column-mismatch")),
        case(
            "avro_other_type",
            "x.avro",
            avro(&[("id", text.clone()), ("name", text)], None),
            Refused("column-mismatch"),
        ),
        case("avro_magic_only", "x.avro", b"Obj\x01", Refused("bad-object")),
        case("avro_header_cut", "x.avro", &good[..20], Refused("bad-object")),
        case("avro_cut", "x.avro", &good[..good.len() - 3], Refused("bad-object")),
        case("avro_damaged", "x.avro", damaged, Refused("bad-object")),
        case("avro_is_csv", "x.avro", "id,name\n2,b\n", Refused("unreadable-table")),
        case("avro_empty", "x.avro", "", Rows(&[], 0)),
        case(
            "avro_many",
            "x.avro",
            avro_rows(&(0..50_000).map(|id| (id, "x")).collect::<Vec<_>>(), None),
            Count(50_000, 0),
        ),
    ];
    let codecs =
        [CompressionCodec::Deflate, CompressionCodec::Snappy, CompressionCodec::ZStandard, CompressionCodec::Bzip2];
    for (index, codec) in codecs.into_iter().enumerate() {
        cases.push(case(
            &format!("avro_codec_{index}"),
            "x.avro",
            avro_rows(rows, Some(codec)),
            Rows(&["2|b", "3|c"], 0),
        ));
    }
    cases
}

fn orc_cases() -> Vec<Case> {
    let rows: &[(i64, &str)] = &[(2, "b"), (3, "c")];
    let good = orc_rows(rows);
    let text: ArrayRef = Arc::new(StringArray::from(vec!["b"]));
    let id: ArrayRef = Arc::new(Int64Array::from(vec![2]));
    let narrow: ArrayRef = Arc::new(Int32Array::from(vec![2]));
    let (id_of, text_of) = (|name| (name, id.clone()), |name| (name, text.clone()));
    let written = |columns: &[(&str, ArrayRef)]| orc(columns, None);
    let mut damaged = good.clone();
    damaged[3..30].fill(0xFF);
    let mut footer = good.clone();
    let end = footer.len();
    footer[end - 40..end - 30].fill(0xFF);
    let huge = [b"ORC".as_slice(), &[0; 8], &[0x08, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 0x10, 0, 6]].concat();
    let mut cases = vec![
        case("orc_good", "x.orc", &good, Rows(&["2|b", "3|c"], 0)),
        case("orc_no_suffix", "part-0000", &good, Rows(&["2|b", "3|c"], 0)),
        case("orc_other_case", "x.orc", written(&[id_of("ID"), text_of("Name")]), Rows(&["2|b"], 0)),
        case("orc_reordered", "x.orc", written(&[text_of("name"), id_of("id")]), Rows(&["2|b"], 0)),
        case("orc_by_place", "x.orc", written(&[id_of("_col0"), text_of("_col1")]), Rows(&["2|b"], 0)),
        case("orc_fewer_columns", "x.orc", written(&[id_of("id")]), Rows(&["2|NULL"], 0)),
        case("orc_more_columns", "x.orc", written(&[id_of("id"), text_of("name"), id_of("more")]), Rows(&["2|b"], 0)),
        case("orc_other_columns", "x.orc", written(&[id_of("other")]), Refused("column-mismatch")),
        case("orc_narrower", "x.orc", written(&[("id", narrow), text_of("name")]), Rows(&["2|b"], 0)),
        case("orc_other_type", "x.orc", written(&[text_of("id"), text_of("name")]), Refused("column-mismatch")),
        case("orc_no_rows", "x.orc", orc_rows(&[]), Rows(&[], 0)),
        case("orc_empty", "x.orc", "", Rows(&[], 0)),
        case("orc_magic_only", "x.orc", "ORC", Refused("bad-object")),
        case("orc_cut", "x.orc", &good[..good.len() - 5], Refused("bad-object")),
        case("orc_half", "x.orc", &good[..good.len() / 2], Refused("bad-object")),
        case("orc_damaged_stripe", "x.orc", damaged, Refused("bad-object")),
        case("orc_damaged_footer", "x.orc", footer, Refused("bad-object")),
        case("orc_footer_of_gigabytes", "x.orc", huge, Refused("bad-object")),
        case("orc_is_csv", "x.orc", "id,name\n2,b\n", Refused("bad-object")),
        case("orc_packed", "x.orc", gzip_bytes(&good), Refused("bad-object")),
        case("orc_many", "x.orc", orc_rows(&(0..50_000).map(|id| (id, "x")).collect::<Vec<_>>()), Count(50_000, 0)),
    ];
    let codecs = [CompressionType::Zlib, CompressionType::Snappy, CompressionType::Lz4, CompressionType::Zstd];
    for (index, codec) in codecs.into_iter().enumerate() {
        cases.push(case(
            &format!("orc_codec_{index}"),
            "x.orc",
            orc(&columns(rows), Some(codec)),
            Rows(&["2|b", "3|c"], 0),
        ));
    }
    cases
}

fn gzip_bytes(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn parquet_objects() {
    check(&parquet_cases());
}

#[test]
fn orc_objects() {
    check(&orc_cases());
}

#[test]
fn avro_objects() {
    check(&avro_cases());
}
