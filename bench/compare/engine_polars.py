"""Runs a program in Polars, streaming: `engine_polars.py PROGRAM …` in a process of its own."""

import os
import time
import warnings

started = time.perf_counter()

import json  # noqa: E402
from collections.abc import Callable  # noqa: E402

import schema  # noqa: E402
from program import Program, from_arguments  # noqa: E402

program = from_arguments()
# Read when Polars is imported.
os.environ["POLARS_MAX_THREADS"] = str(program.cores)
os.environ["POLARS_TEMP_DIR"] = str(program.temp)

import polars as pl  # noqa: E402
from polars import col  # noqa: E402

TYPES = {
    "BIGINT": pl.Int64,
    "VARCHAR": pl.String,
    "DATE": pl.Date,
    schema.DOUBLE: pl.Float64,
    schema.DECIMAL: pl.Decimal(12, 2),
}


def exact(factor: pl.Expr) -> pl.Expr:
    """A factor of a product that keeps six places: Polars rounds a product to the places of its factors."""
    return factor.cast(pl.Decimal(38, 6))


def parquet(table: str) -> pl.LazyFrame:
    return pl.scan_parquet(program.objects(table))


def lineitem_csv(amounts: str) -> pl.LazyFrame:
    types = {name: TYPES[sql_type] for name, sql_type in schema.lineitem(amounts).items()}
    return pl.scan_csv(program.objects("lineitem"), schema=types)


def month() -> pl.LazyFrame:
    price = exact(col("l_extendedprice")) * exact(1 - col("l_discount")) * exact(1 + col("l_tax"))
    return lineitem_csv(schema.DECIMAL).with_columns(
        charge=price.cast(pl.Decimal(18, 6)), month=col("l_shipdate").dt.month_start()
    )


def whole() -> pl.LazyFrame:
    return month().drop("month")


def month_doubles() -> pl.LazyFrame:
    return lineitem_csv(schema.DOUBLE).with_columns(
        charge=col("l_extendedprice") * (1 - col("l_discount")) * (1 + col("l_tax")),
        month=col("l_shipdate").dt.month_start(),
    )


def json_day() -> pl.LazyFrame:
    line = pl.Struct({name: TYPES[sql_type] for name, sql_type in schema.LINE.items()})
    types = {name: TYPES[sql_type] for name, sql_type in schema.ORDERS_JSON.items()}
    orders = pl.scan_ndjson(program.objects("orders"), schema={**types, "ordered_on": pl.String, "lines": pl.List(line)})
    return orders.with_columns(line_count=col("lines").list.len().cast(pl.Int32), day=col("ordered_on").str.to_date()).drop(
        "ordered_on"
    )


def enrich() -> pl.LazyFrame:
    revenue = (exact(col("l_extendedprice")) * exact(1 - col("l_discount"))).cast(pl.Decimal(18, 4))
    return (
        parquet("lineitem")
        .join(parquet("orders"), left_on="l_orderkey", right_on="o_orderkey")
        .join(parquet("customer"), left_on="o_custkey", right_on="c_custkey")
        .select(
            "l_orderkey", "l_linenumber", "l_partkey", "l_quantity", "l_extendedprice", "l_shipdate", "l_shipmode",
            "o_orderdate", "o_orderpriority", "c_name", "c_mktsegment", "c_nationkey",
            c_custkey=col("o_custkey"), revenue=revenue, month=col("o_orderdate").dt.month_start(),
        )
    )  # fmt: skip


def daily() -> pl.LazyFrame:
    revenue = exact(col("l_extendedprice")) * exact(1 - col("l_discount"))
    return (
        parquet("lineitem")
        .group_by("l_shipdate", "l_returnflag", "l_shipmode")
        .agg(
            line_count=pl.len().cast(pl.Int64),
            suppliers=col("l_suppkey").n_unique().cast(pl.Int64),
            quantity=col("l_quantity").sum().cast(pl.Decimal(18, 2)),
            price=col("l_extendedprice").sum().cast(pl.Decimal(18, 2)),
            revenue=revenue.sum().cast(pl.Decimal(18, 4)),
            discount=col("l_discount").cast(pl.Float64).mean(),
        )
    )


def day_2500() -> pl.LazyFrame:
    return parquet("lineitem").with_columns(day=col("l_shipdate"))


def many_20000() -> pl.LazyFrame:
    return parquet("lineitem").with_columns(part_group=col("l_partkey") % 20000)


def compact() -> pl.LazyFrame:
    return parquet("lineitem_small")


def orders_by_month() -> pl.LazyFrame:
    return parquet("order_changes").with_columns(month=col("o_orderdate").dt.month_start())


def merge() -> pl.LazyFrame:
    arrived = orders_by_month()
    before = pl.scan_parquet(program.before, hive_partitioning=True, hive_schema={"month": pl.Date})
    unchanged = before.join(arrived, on="o_orderkey", how="anti")
    return pl.concat([unchanged, arrived.select(before.collect_schema().names())])


PROGRAMS: list[Callable[[], pl.LazyFrame]] = [
    month, whole, month_doubles, json_day, enrich, daily, day_2500, many_20000, compact, orders_by_month, merge,
]  # fmt: skip


def run(rows: pl.LazyFrame) -> None:
    """Writes the rows; files that are there keep their names."""
    warnings.simplefilter("ignore")  # PartitionBy is said to be unstable.
    target = program.into / "part.parquet"
    if program.partition:
        target = pl.PartitionBy(program.into, key=program.partition, include_key=False, file_path_provider=place)
    rows.sink_parquet(target, compression="zstd", compression_level=3, mkdir=True, maintain_order=False, engine="streaming")


def place(file: "pl.io.partition.FileProviderArgs") -> str:
    """A file name that no earlier run has used."""
    names = file.partition_keys.row(0, named=True).items()
    folder = "/".join(f"{name}={value}" for name, value in names)
    return f"{folder}/{os.getpid()}-{file.index_in_partition:05}.parquet"


if __name__ == "__main__":
    rows = next(made for made in PROGRAMS if made.__name__ == program.name)
    session = time.perf_counter() - started
    run(rows())
    print(json.dumps({"session_seconds": session}))
