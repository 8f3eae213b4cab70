"""Runs a program in DuckDB: `engine_duckdb.py PROGRAM …` in a process of its own."""

import time

started = time.perf_counter()

import json  # noqa: E402

import duckdb  # noqa: E402

import schema  # noqa: E402
from program import Program, from_arguments  # noqa: E402

MEMORY_SHARE = 0.8
"""Part of the box's memory that DuckDB plans with: its own default."""
PARQUET = "FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 3"


def connect(program: Program) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(
        config={
            "memory_limit": f"{int(program.memory_mb * MEMORY_SHARE)}MB",
            "temp_directory": str(program.temp),
            "threads": program.cores,
            "preserve_insertion_order": False,
        }
    )
    # The name that DataFusion and Spark have for it.
    connection.execute("CREATE MACRO cardinality(list) AS len(list)")
    connection.execute("CREATE SCHEMA raw")
    for table in program.tables():
        connection.execute(f"CREATE VIEW raw.{table.name} AS SELECT * FROM {reader(program, table.name)}")
    return connection


def reader(program: Program, table: str) -> str:
    """The table function that reads the objects of a table, typed as in unglue's catalog."""
    objects = program.objects(table)
    if objects[0].endswith(".parquet"):
        return f"read_parquet({objects})"
    if objects[0].endswith(".jsonl"):
        line = ", ".join(f"{name} {sql_type}" for name, sql_type in schema.LINE.items())
        columns = {**schema.ORDERS_JSON, "lines": f"STRUCT({line})[]"}
        return f"read_json({objects}, format = 'newline_delimited', columns = {columns})"
    columns = schema.lineitem(schema.DOUBLE if program.name == "month_doubles" else schema.DECIMAL)
    return f"read_csv({objects}, header = true, auto_detect = false, delim = ',', quote = '\"', columns = {columns})"


def merged(program: Program) -> str:
    """The table as it was without the keys that arrive, and what arrives."""
    before = f"read_parquet('{program.before}/*/*.parquet', hive_partitioning = true)"
    return f"""
        WITH arrived AS ({program.select})
        SELECT * FROM {before} AS b WHERE NOT EXISTS (SELECT 1 FROM arrived AS a WHERE a.o_orderkey = b.o_orderkey)
        UNION ALL BY NAME SELECT * FROM arrived
    """


def run(connection: duckdb.DuckDBPyConnection, program: Program) -> None:
    select = merged(program) if program.name == "merge" else program.select
    if not program.partition:
        program.into.mkdir(parents=True, exist_ok=True)
        connection.execute(f"COPY ({select}) TO '{program.into}/part.parquet' ({PARQUET})")
        return
    # `APPEND` gives the files names of their own, beside those that are there.
    columns = ", ".join(program.partition)
    connection.execute(f"COPY ({select}) TO '{program.into}' ({PARQUET}, PARTITION_BY ({columns}), APPEND)")


if __name__ == "__main__":
    program = from_arguments()
    connection = connect(program)
    session = time.perf_counter() - started
    run(connection, program)
    print(json.dumps({"session_seconds": session}))
