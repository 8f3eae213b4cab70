"""What the tables do hold: the Parquet that unglue wrote, found through its catalog, read by DuckDB."""

import json
import re
import subprocess
from pathlib import Path

import duckdb

# Hive's name of a type and DuckDB's.
SIMPLE_TYPES = {
    "boolean": "BOOLEAN",
    "tinyint": "TINYINT",
    "smallint": "SMALLINT",
    "int": "INTEGER",
    "bigint": "BIGINT",
    "float": "FLOAT",
    "double": "DOUBLE",
    "string": "VARCHAR",
    "binary": "BLOB",
    "date": "DATE",
    "timestamp": "TIMESTAMP",
}


class Unusable(Exception):
    """The catalog or a location of it cannot be used."""


def show(unglue: Path, project: Path, data: Path) -> dict:
    """The tables of the catalog by name, as `unglue catalog show --json` prints them."""
    command = [str(unglue), "catalog", "show", "--json", "--project", str(project), "--data", str(data)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise Unusable(f"{' '.join(command)} ended with {result.returncode}:\n{result.stderr}")
    return {table["name"]: table for table in json.loads(result.stdout)}


def load(connection: duckdb.DuckDBPyConnection, table: dict, data: Path, into: str) -> list[str]:
    """Makes the table `into` of all rows of a table of the catalog; returns where the files contradict the catalog."""
    columns = [(column["name"], duckdb_type(column["type"])) for column in table["columns"]]
    keys = [(key["name"], duckdb_type(key["type"])) for key in table["partition_keys"]]
    declared = ", ".join(f'"{name}" {sql_type}' for name, sql_type in columns + keys)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {into} ({declared})")

    places = [(partition["values"], partition["location"]) for partition in table["partitions"]] if keys else [
        ([], table["location"])
    ]
    problems = []
    for values, location in places:
        constants = [
            f"CAST({literal(value)} AS {sql_type}) AS \"{name}\""
            for value, (name, sql_type) in zip(values, keys, strict=True)
        ]
        for file in parquet_files(data, location):
            source = f"read_parquet({literal(str(file))}, hive_partitioning = false)"
            found = connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()
            found = [(row[0], row[1]) for row in found]
            # DuckDB quotes names of fields only where it must.
            plain = lambda types: [(name, sql_type.replace('"', "")) for name, sql_type in types]
            if plain(found) != plain(columns):
                problems.append(f"{file} has the columns {found}, the catalog says {columns}")
                continue
            selected = ", ".join(["*", *constants])
            connection.execute(f"INSERT INTO {into} BY NAME SELECT {selected} FROM {source}")
    return problems


def parquet_files(data: Path, location: str) -> list[Path]:
    """The visible objects below a location, which is a URL, or a path relative to the data folder."""
    folder = Path(location.removeprefix("file://")) if location.startswith("file://") else data / location
    if not folder.is_dir():
        raise Unusable(f"the catalog names the location {location}, which does not exist")
    visible = [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(part.startswith((".", "_")) for part in path.relative_to(folder).parts)
    ]
    strangers = [str(path) for path in visible if path.suffix != ".parquet"]
    if strangers:
        raise Unusable(f"a reader of {location} would stumble over {', '.join(strangers)}")
    return visible


def literal(text: str | None) -> str:
    """A SQL literal."""
    return "NULL" if text is None else "'" + text.replace("'", "''") + "'"


def duckdb_type(hive: str) -> str:
    """DuckDB's name of a Hive type."""
    if hive in SIMPLE_TYPES:
        return SIMPLE_TYPES[hive]
    if decimal := re.fullmatch(r"decimal\((\d+),(\d+)\)", hive):
        return f"DECIMAL({decimal[1]},{decimal[2]})"
    if re.fullmatch(r"(var)?char\(\d+\)", hive):
        return "VARCHAR"
    if array := re.fullmatch(r"array<(.*)>", hive):
        return f"{duckdb_type(array[1])}[]"
    if struct := re.fullmatch(r"struct<(.*)>", hive):
        fields = (field.split(":", 1) for field in split(struct[1]))
        return "STRUCT(" + ", ".join(f'"{name}" {duckdb_type(field)}' for name, field in fields) + ")"
    if entries := re.fullmatch(r"map<(.*)>", hive):
        key, value = split(entries[1])
        return f"MAP({duckdb_type(key)}, {duckdb_type(value)})"
    raise Unusable(f"the catalog has the type {hive!r}, which is not one of Hive's")


def split(text: str) -> list[str]:
    """Splits at the commas outside all brackets."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter in "<(") - (letter in ">)")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return parts
