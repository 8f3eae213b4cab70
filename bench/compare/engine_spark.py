"""Runs a program in Spark on this machine: `engine_spark.py PROGRAM …` in a process of its own, and Spark's JVM below it."""

import time

started = time.perf_counter()

import json  # noqa: E402

from pyspark.sql import DataFrame, SparkSession  # noqa: E402

import schema  # noqa: E402
from program import Program, from_arguments  # noqa: E402

HEAP_SHARE = 0.6
"""Part of the box's memory that is Java's heap; Java itself and what Spark keeps outside need the rest."""
MOST_HEAP_MB = 4096
TYPES = {"VARCHAR": "STRING"}


def connect(program: Program) -> SparkSession:
    heap = min(int(program.memory_mb * HEAP_SHARE), MOST_HEAP_MB)
    return (
        SparkSession.builder.master(f"local[{program.cores}]")
        .config("spark.driver.memory", f"{heap}m")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.local.dir", str(program.temp))
        .config("spark.sql.warehouse.dir", str(program.temp / "warehouse"))
        .config("spark.sql.shuffle.partitions", str(4 * program.cores))
        .config("spark.sql.parquet.compression.codec", "zstd")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.ui.enabled", "false")
        .config("spark.log.level", "ERROR")
        .getOrCreate()
    )


def register(spark: SparkSession, program: Program) -> None:
    """Makes each table of `raw` a view, typed as in unglue's catalog."""
    for table in program.tables():
        objects = program.objects(table.name)
        if objects[0].endswith(".parquet"):
            rows = spark.read.parquet(*objects)
        elif objects[0].endswith(".jsonl"):
            line = ", ".join(f"{name}: {java(sql_type)}" for name, sql_type in schema.LINE.items())
            rows = spark.read.schema(f"{columns(schema.ORDERS_JSON)}, lines ARRAY<STRUCT<{line}>>").json(objects)
        else:
            amounts = schema.DOUBLE if program.name == "month_doubles" else schema.DECIMAL
            rows = spark.read.schema(columns(schema.lineitem(amounts))).csv(objects, header=True)
        rows.createOrReplaceTempView(table.name)


def columns(types: dict[str, str]) -> str:
    return ", ".join(f"{name} {java(sql_type)}" for name, sql_type in types.items())


def java(sql_type: str) -> str:
    """Spark's name of a type."""
    return TYPES.get(sql_type, sql_type)


def merged(spark: SparkSession, program: Program, arrived: DataFrame) -> DataFrame:
    """The table as it was without the keys that arrive, and what arrives."""
    before = spark.read.parquet(str(program.before))
    return before.join(arrived, "o_orderkey", "left_anti").unionByName(arrived)


def run(spark: SparkSession, program: Program) -> None:
    # Views of a session have no database.
    rows = spark.sql(program.select.replace("raw.", ""))
    if program.name == "merge":
        rows = merged(spark, program, rows)
    if not program.partition:
        rows.coalesce(program.cores).write.mode("append").parquet(str(program.into))
        return
    # Without it every task would write a file into every partition.
    rows.repartition(*program.partition).write.mode("append").partitionBy(*program.partition).parquet(str(program.into))


if __name__ == "__main__":
    program = from_arguments()
    spark = connect(program)
    session = time.perf_counter() - started
    register(spark, program)
    run(spark, program)
    spark.stop()
    print(json.dumps({"session_seconds": session}))
