"""What the tables should hold: the SQL files, run by DuckDB over the landing files."""

import re
from pathlib import Path

import duckdb

# How DuckDB reads the objects of a table, by the suffix of their names. The whole of each file is sampled for its types.
READERS = {
    ".csv": "read_csv({files}, header = true, union_by_name = true, sample_size = -1, hive_partitioning = {hive})",
    ".csv.gz": "read_csv({files}, header = true, union_by_name = true, sample_size = -1, hive_partitioning = {hive})",
    ".jsonl": "read_json({files}, format = 'newline_delimited', union_by_name = true, sample_size = -1,"
    " hive_partitioning = {hive})",
}


class Unusable(Exception):
    """The landing files or the SQL files are not as expected."""


def quote(name: str) -> str:
    """`database.table` as a quoted SQL name."""
    return ".".join(f'"{part}"' for part in name.split("."))


def create_sources(connection: duckdb.DuckDBPyConnection, data: Path) -> set[str]:
    """Makes a table of each folder `raw/<table>` of the data folder; returns their names."""
    names = set()
    connection.execute("CREATE SCHEMA raw")
    for folder in sorted(path for path in (data / "raw").iterdir() if path.is_dir()):
        files = sorted(str(path) for path in folder.rglob("*") if path.is_file())
        reader = next((reader for suffix, reader in READERS.items() if files and files[0].endswith(suffix)), None)
        if reader is None:
            raise Unusable(f"no reader for the files of {folder}")
        listed = "[" + ", ".join("'" + file.replace("'", "''") + "'" for file in files) + "]"
        partitioned = any("=" in part for part in Path(files[0]).relative_to(folder).parent.parts)
        name = f"raw.{folder.name}"
        source = reader.format(files=listed, hive=str(partitioned).lower())
        connection.execute(f"CREATE TABLE {quote(name)} AS SELECT * FROM {source}")
        names.add(name)
    return names


def create_results(
    connection: duckdb.DuckDBPyConnection, sql: Path, translations: Path, landing: set[str]
) -> list[str]:
    """Runs all SQL files in the order of their dependencies; returns the names of their tables in that order."""
    waiting = {}
    for path in sorted(sql.glob("*/*.sql")):
        name = f"{path.parent.name}.{path.stem}"
        translation = translations / f"{name}.sql"
        waiting[name] = (translation if translation.exists() else path).read_text(encoding="utf-8-sig")
    done: list[str] = []
    while waiting:
        ready = [name for name, text in waiting.items() if not reads(text) & (waiting.keys() - {name})]
        if not ready:
            raise Unusable(f"these read each other's tables in a circle: {', '.join(waiting)}")
        for name in ready:
            connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{name.split(".")[0]}"')
            connection.execute(f"CREATE TABLE {quote(name)} AS\n{waiting.pop(name).rstrip().rstrip(';')}")
            done.append(name)
    return done


def reads(text: str) -> set[str]:
    """The `database.table` names behind FROM and JOIN."""
    without_comments = re.sub(r"--[^\n]*", "", text)
    return set(re.findall(r"\b(?:from|join)\s+([a-z_]\w*\.[a-z_]\w*)", without_comments, re.IGNORECASE))
