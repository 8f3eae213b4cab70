"""Whether engines agree: a fingerprint of a table, and the differences between two of them. DuckDB reads all files."""

import math
from pathlib import Path

import duckdb

TOLERANCE = 1e-9
"""Relative difference of sums of doubles that comes of the order in which they are added."""
NUMBERS = ("DECIMAL", "DOUBLE", "FLOAT", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UINTEGER", "UBIGINT")

Fingerprint = dict[str, int | float | str | None]


def fingerprint(files: set[Path], temp: Path) -> Fingerprint:
    """The number of rows; of each number its sum, least and largest value; of all other columns together, row by row, and of
    whole numbers with them, the sum of the rows' hashes."""
    connection = duckdb.connect(config={"memory_limit": "4GB", "temp_directory": str(temp)})
    listed = [str(file) for file in sorted(files)]
    source = f"read_parquet({listed}, hive_partitioning = true, hive_types_autocast = false)"
    connection.execute(f"CREATE VIEW made AS SELECT * FROM {source}")
    columns = {row[0].lower(): row[1] for row in connection.execute("DESCRIBE made").fetchall()}
    measures = {"rows": "count(*)"}
    exact = []
    for name, sql_type in sorted(columns.items()):
        if sql_type.startswith(NUMBERS) and not sql_type.endswith("]"):
            for what, of in (("sum", f'sum(CAST("{name}" AS DOUBLE))'), ("min", f'min("{name}")'), ("max", f'max("{name}")')):
                measures[f"{what} of {name}"] = f"CAST({of} AS DOUBLE)"
            measures[f"values of {name}"] = f'count("{name}")'
        if not sql_type.startswith(("DECIMAL", "DOUBLE", "FLOAT")):
            exact.append(f"coalesce(CAST(\"{name}\" AS VARCHAR), '<null>')")
    measures["rows hashed"] = f"CAST(sum(CAST(hash(concat_ws('|', {', '.join(exact)})) AS HUGEINT)) AS VARCHAR)"
    selected = ", ".join(f'{measure} AS "{name}"' for name, measure in measures.items())
    result = connection.execute(f"SELECT {selected} FROM made")
    return {"columns": " ".join(sorted(columns)), **dict(zip(measures, result.fetchone(), strict=True))}


def differences(wanted: Fingerprint, found: Fingerprint) -> list[str]:
    """What differs, in words."""
    return [
        f"{name}: {found.get(name)} instead of {wanted.get(name)}"
        for name in sorted(wanted.keys() | found.keys())
        if not same(wanted.get(name), found.get(name))
    ]


def same(one: int | float | str | None, other: int | float | str | None) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=TOLERANCE)
    return one == other
