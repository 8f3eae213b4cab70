"""Source tables as another engine reads them by the catalog's description alone, against what unglue itself reads.

    described.py --unglue FILE --avro FOLDER

Makes objects in many forms, lets `unglue catalog` find their tables, and reads each with DuckDB by nothing but its columns,
format and partitions, as Athena would: CSV fields by position, with the delimiter, quote, escape, NULL and header that the catalog
names; Avro by the schema in `avro.schema.literal`, as Athena reads it. Then a transform copies each table, and the rows must be the same.
Avro and ORC are written, and read by description, by fastavro and pyarrow. The public examples that pyarrow brings of ORC and Parquet,
and those of Avro in FOLDER, are tables as well: they are read, or refused for a reason that is told.
"""

from __future__ import annotations

import argparse
import bz2
import datetime
import decimal
import gzip
import io
import json
import sys
import tempfile
from pathlib import Path
from subprocess import run

import duckdb
import fastavro
import pyarrow
import pyarrow.parquet
import written
from pyarrow import orc

PEOPLE = [(1, "Ada", "1815-12-10", "12.5"), (2, "Grace, H.", "1906-12-09", ""), (3, 'say "hi"', "", "-3"), (4, "Ünï 🎉", "1912-06-23", "0.25")]


def csv(delimiter: str = ",", quote: str = '"', header: bool = True) -> bytes:
    """The people, quoted where it is needed; the quote doubled."""

    def field(value: object) -> str:
        text = str(value)
        needs = any(symbol in text for symbol in (delimiter, quote, "\n"))
        return quote + text.replace(quote, quote * 2) + quote if needs else text

    rows = ([("id", "name", "born", "amount")] if header else []) + PEOPLE
    return "".join(delimiter.join(field(value) for value in row) + "\n" for row in rows).encode()


def json_rows(separator: str, around: tuple[str, str] = ("", "")) -> bytes:
    """The people with a nested part."""
    rows = [{"id": i, "name": n, "born": b or None, "place": {"floor": i * 2, "rooms": [n, "x"]}} for i, n, b, _ in PEOPLE]
    return (around[0] + separator.join(json.dumps(row) for row in rows) + around[1] + "\n").encode()


# Examples that make no table, and why, in the words that tell it.
NO_RECORDS = "the values of the Avro file are no records"
REFUSED = {
    "testorcfile_emptyfile_orc": "has no rows yet",
    **{
        f"{name}_avro": NO_RECORDS
        for name in (
            "bool",
            "class_org_apache_avro_tool_testdatafiletools_seperators",
            "class_org_apache_avro_tool_testdatafiletools_testwrite_deflate",
            "class_org_apache_avro_tool_testdatafiletools_testwrite_plain",
            "class_org_apache_avro_tool_testdatafiletools_zerojsonvalues",
            "deflate",
            "error_type",
            "null",
            "org_apache_avro_tool_testdatafiletools",
            "response",
            "snappy",
            "testdatafilemeta",
        )
    },
    "no_fields_avro": "no column is left that a table could have",
    "recursive_avro": "the type `LongList`, which is not defined before, or holds itself",
    "weather_legacy_with_names_avro": "the type `test.Neighbor`, which is not defined before",
}

## Formats that declare their columns

DAY = datetime.date(1969, 12, 31)
TIME = datetime.datetime(2026, 11, 25, 20, 15, 30, 123456)
FIELDS = [
    {"name": "Id", "type": "int"},
    {"name": "name", "type": ["null", "string"]},
    {"name": "born", "type": {"type": "int", "logicalType": "date"}},
    {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
    {"name": "amount", "type": {"type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 2}},
    {"name": "tags", "type": {"type": "array", "items": "string"}},
]
RECORDS = [
    {"Id": i, "name": n or None, "born": DAY, "at": TIME.replace(tzinfo=datetime.timezone.utc), "amount": decimal.Decimal("12.50") * i, "tags": ["a", n]}
    for i, n, _, _ in PEOPLE
]


def avro_rows(fields: list, codec: str) -> bytes:
    """The records with some of their fields."""
    schema = fastavro.parse_schema({"type": "record", "name": "person", "fields": fields})
    content = io.BytesIO()
    fastavro.writer(content, schema, [{field["name"]: record[field["name"]] for field in fields} for record in RECORDS], codec=codec)
    return content.getvalue()


def orc_rows(compression: str) -> bytes:
    """The people with a nested part and a time."""
    rows = [
        {"id": i, "name": n or None, "born": DAY, "at": TIME, "amount": decimal.Decimal("12.50") * i, "place": {"floor": i, "rooms": [n, None]}}
        for i, n, _, _ in PEOPLE
    ]
    content = io.BytesIO()
    orc.write_table(pyarrow.Table.from_pylist(rows), content, compression=compression)
    return content.getvalue()


def public_examples(avro: Path) -> dict:
    """Examples of the formats' own projects, as far as Python packages bring them."""
    folder = Path(pyarrow.__file__).parent / "tests" / "data"
    kinds = [sorted(files) for files in (folder.glob("orc/*.orc"), folder.glob("parquet/*.parquet"), avro.glob("*.avro"))]
    if not all(kinds):
        raise FileNotFoundError(f"no examples in {folder} or {avro}")
    files = sum(kinds, [])
    name = lambda file: "".join(c if c.isalnum() else "_" for c in file.stem.lower()) + file.suffix.replace(".", "_")
    return {name(file).lstrip("_"): {file.name: file.read_bytes()} for file in files}


OBJECTS = {
    "comma": {"a.csv": csv(), "b.csv": csv()},
    "semicolons": {"a.csv": csv(";")},
    "tabs": {"a.tsv": csv("\t")},
    "pipes": {"no_suffix": csv("|")},
    "control": {"a.csv": csv("\x01")},
    "packed": {"a.csv.gz": gzip.compress(csv()), "b.csv.bz2": bz2.compress(csv())},
    "headless": {"a.csv": csv(header=False)},
    "texts": {"a.csv": b"first,last\nAda,Lovelace\nGrace,Hopper\n"},
    "single": {"a.csv": b"'id','name'\n'1','a, b'\n'2','c'\n"},
    "escaped": {"a.csv": b'id,name\n1,"say \\"hi, you\\""\n2,plain\n'},
    "by_day": {f"day=2026-11-{day}/region={region}/a.csv": csv() for day in (21, 22) for region in ("eu", "a%20b")},
    "large": {"a.csv": b"n\n9223372036854775807\n9223372036854775808\n-12345678901234567890123456789012345678\n"},
    "lines": {"a.jsonl": json_rows("\n")},
    "lines_packed": {"a.json.gz": gzip.compress(json_rows("\n"))},
    "avro": {"a.avro": avro_rows(FIELDS[:4], "deflate"), "b.avro": avro_rows(FIELDS[1:], "null")},
    "orc": {"a.orc": orc_rows("zlib"), "b.orc": orc_rows("uncompressed")},
    "orc_by_day": {f"day=2026-11-{day}/part-0": orc_rows("zstd") for day in (21, 22)},
    "array": {"a.json": json_rows(",\n", ("[", "]"))},
}


def by_description(table: dict, data: Path) -> tuple[list[str], list[tuple]]:
    """Names and rows of a table, sorted, by its description."""
    columns = {column["name"]: written.duckdb_type(column["type"]) for column in table["columns"]}
    keys = {key["name"]: written.duckdb_type(key["type"]) for key in table["partition_keys"]}
    places = [(one["values"], one["location"]) for one in table["partitions"]] if keys else [([], table["location"])]
    rows = []
    for values, location in places:
        folder = Path(location.removeprefix("file://"))
        files = sorted(str(file) for file in folder.rglob("*") if file.is_file())
        constants = "".join(f", CAST({written.literal(value)} AS {sql})" for value, sql in zip(values, keys.values(), strict=True))
        for file in files:
            if table["format"] in ("avro", "orc", "parquet"):
                rows += declared_rows(table, columns, constants, file)
                continue
            rows += duckdb.sql(f"SELECT *{constants} FROM {reader(table, columns, file)}").fetchall()
    return [*columns, *keys], sorted(rows, key=repr)


def declared_rows(table: dict, columns: dict[str, str], constants: str, file: str) -> list[tuple]:
    """Rows of an object that declares its columns, in the types of the catalog."""
    if table["format"] == "avro":
        schema = json.loads(table["parameters"]["avro.schema.literal"])
        with Path(file).open("rb") as content:
            found = pyarrow.Table.from_pylist(list(fastavro.reader(content, reader_schema=schema)))
    elif table["format"] == "orc":
        found = orc.read_table(file)
    else:
        found = pyarrow.parquet.ParquetFile(file).read()
    # A moment is its time in UTC; DuckDB would need an extension for zones.
    for place, field in enumerate(found.schema):
        if pyarrow.types.is_timestamp(field.type):
            found = found.set_column(place, field.name, found.column(place).cast(pyarrow.timestamp(field.type.unit)))
    connection = duckdb.connect()
    connection.register("found", found)
    named = {name.lower(): name for name in found.column_names}
    cast = ", ".join(f'CAST("{named[name]}" AS {sql})' for name, sql in columns.items())
    return connection.execute(f"SELECT {cast}{constants} FROM found").fetchall()


def reader(table: dict, columns: dict[str, str], file: str) -> str:
    """DuckDB's reader of a file with the options that the catalog names."""
    declared = "{" + ", ".join(f"{written.literal(name)}: {written.literal(sql)}" for name, sql in columns.items()) + "}"
    compression = {".gz": "gzip"}.get(Path(file).suffix, "none")
    if Path(file).suffix == ".bz2":
        unpacked = Path(file + ".unpacked.tmp")
        unpacked.write_bytes(bz2.decompress(Path(file).read_bytes()))
        file = str(unpacked)
    if table["format"] == "json":
        return f"read_json({written.literal(file)}, columns = {declared}, format = 'auto', compression = '{compression}')"
    options = table["format"]["csv"]
    quote = options.get("quote") or ""
    escape = options.get("escape") or quote
    return (
        f"read_csv({written.literal(file)}, columns = {declared}, auto_detect = false, header = false, "
        f"skip = {options.get('header_lines', 1)}, delim = {written.literal(options['delimiter'])}, quote = {written.literal(quote)}, "
        f"escape = {written.literal(escape)}, nullstr = '', compression = '{compression}', hive_partitioning = false)"
    )


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--unglue", type=Path, required=True)
    parser.add_argument("--avro", type=Path, required=True)
    arguments = parser.parse_args()
    unglue, tables = arguments.unglue, OBJECTS | public_examples(arguments.avro)
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="unglue-described-") as folder:
        project, data = Path(folder), Path(folder) / "data"
        for table, objects in tables.items():
            for name, content in objects.items():
                target = data / "raw" / table / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
            if table in REFUSED:
                continue
            sql = project / "sql" / "out" / f"{table}.sql"
            sql.parent.mkdir(parents=True, exist_ok=True)
            sql.write_text(f"SELECT * FROM raw.{table}\n")
        ended = run([unglue, "run", "--project", project, "--data", data], check=False, capture_output=True, text=True)
        catalog = written.show(unglue, project, data)
        told = ended.stderr.split("\n\n")
        for table, why in REFUSED.items():
            is_told = any(f"raw/{table}/" in message and why in message for message in told)
            refused = is_told and f"raw.{table}" not in catalog
            wrong += not refused
            print(f"{'ok    ' if refused else 'FAILED'} {table}: refused: {why}")
        for table in sorted(tables.keys() - REFUSED.keys()):
            names, described = by_description(catalog[f"raw.{table}"], data)
            connection = duckdb.connect()
            problems = written.load(connection, catalog[f"out.{table}"], data, "copy")
            quoted = ", ".join(f'"{name}"' for name in names)
            copied = sorted(connection.execute(f"SELECT {quoted} FROM copy").fetchall(), key=repr)
            if problems or described != copied or not copied:
                wrong += 1
                print(f"FAILED {table}: {problems}\n  described {described[:5]}\n  copied    {copied[:5]}")
            else:
                print(f"ok     {table}: {len(copied)} rows by the description of {', '.join(names)}")
    print(f"described: {len(tables) - wrong} passed, {wrong} failed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
