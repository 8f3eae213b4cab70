"""The data sets: TPC-H as tpchgen-cli writes it, and other shapes made of it. Each is made once and kept."""

import gzip
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import duckdb
import pyarrow.parquet as parquet

SMALL_FILES = 5_000
"""Files of lineitem_small, as long as each has `LEAST_ROWS`."""
LEAST_ROWS = 100
EVENT_BYTES = 1_000_000


class DataSets:
    """The data sets of one scale factor of TPC-H, below one folder."""

    def __init__(self, folder: Path, scale: float):
        self.folder = folder / f"scale-{scale:g}"
        self.scale = scale

    def files(self, name: str) -> list[Path]:
        """The files of a data set, which is made if it is not there."""
        made = self.folder / name
        if not made.exists():
            print(f"making the data set {name} at scale {self.scale:g}", flush=True)
            unfinished = self.folder / f"{name}.unfinished"
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir(parents=True)
            MAKERS[name](self, unfinished)
            unfinished.rename(made)
        return sorted(path for path in made.iterdir() if path.is_file())

    def glob(self, name: str) -> str:
        """The files of a data set as a SQL string."""
        files = self.files(name)
        return f"'{files[0].parent}/*{files[0].suffix}'"


def generate(data: DataSets, into: Path, file_format: str, table: str, parts: int) -> None:
    """Writes a table of TPC-H in so many files."""
    tpchgen = Path(sys.executable).with_name("tpchgen-cli")
    command = [tpchgen, file_format, "-s", f"{data.scale:g}", "-T", table, "-p", str(parts), "-q", "-o", into]
    subprocess.run(command, check=True)
    for file in (into / table).iterdir():
        file.rename(into / file.name)
    (into / table).rmdir()


def generated(file_format: str, table: str, parts: int) -> Callable[[DataSets, Path], None]:
    """The maker of a data set that is a table of TPC-H as it stands."""
    return lambda data, into: generate(data, into, file_format, table, parts)


def lineitem_gz(data: DataSets, into: Path) -> None:
    generate(data, into, "csv", "lineitem", parts=16)
    for file in into.iterdir():
        with file.open("rb") as plain, gzip.open(f"{file}.gz", "wb", compresslevel=6) as packed:
            shutil.copyfileobj(plain, packed, 1 << 20)
        file.unlink()


def orders_json(data: DataSets, into: Path, parts: int = 8) -> None:
    """Orders with their lines as a list of objects, one order a line."""
    connection = connect(data)
    connection.execute(f"CREATE TABLE lines AS SELECT * FROM {data.glob('lineitem_parquet')}")
    for part in range(parts):
        connection.execute(
            f"""
            COPY (
                SELECT
                    o_orderkey AS order_id, o_custkey AS customer_id, o_orderstatus AS status,
                    CAST(o_totalprice AS DOUBLE) AS total, o_orderdate AS ordered_on, o_orderpriority AS priority,
                    o_clerk AS clerk, o_comment AS comment, lines
                FROM {data.glob("orders_parquet")} JOIN (
                    SELECT l_orderkey, list({{
                        'line': l_linenumber, 'part': l_partkey, 'quantity': CAST(l_quantity AS BIGINT),
                        'price': CAST(l_extendedprice AS DOUBLE), 'discount': CAST(l_discount AS DOUBLE),
                        'mode': l_shipmode
                    }} ORDER BY l_linenumber) AS lines
                    FROM lines WHERE (l_orderkey // 32) % {parts} = {part} GROUP BY l_orderkey
                ) ON l_orderkey = o_orderkey
            ) TO '{into}/orders.{part}.jsonl' (FORMAT json)
            """
        )


def lineitem_small(data: DataSets, into: Path) -> None:
    """Many small files, each with a run of rows."""
    rows = parquet.ParquetDataset(data.files("lineitem_parquet")).read()
    files = max(1, min(SMALL_FILES, rows.num_rows // LEAST_ROWS))
    for file in range(files):
        start, end = (rows.num_rows * edge // files for edge in (file, file + 1))
        parquet.write_table(rows.slice(start, end - start), into / f"lineitem.{file:05}.parquet", compression="zstd")


def orders_before(data: DataSets, into: Path) -> None:
    """Orders, with the time of their last change."""
    connect(data).execute(
        f"""
        COPY (
            SELECT *, CAST(o_orderdate AS TIMESTAMP) AS changed_at FROM {data.glob("orders_parquet")}
        ) TO '{into}/before.parquet' (FORMAT parquet, COMPRESSION zstd)
        """
    )


def orders_changes(data: DataSets, into: Path) -> None:
    """1 % of the orders, in all months: nine of ten change, one is new. Keys of TPC-H leave gaps, new ones lie in them."""
    connect(data).execute(
        f"""
        COPY (
            SELECT * REPLACE (
                CASE WHEN hash(o_orderkey) % 1000 = 0 THEN o_orderkey + 8 ELSE o_orderkey END AS o_orderkey,
                'F' AS o_orderstatus,
                CAST(o_totalprice + 1 AS DECIMAL(15, 2)) AS o_totalprice,
                TIMESTAMP '2000-01-01' + to_seconds(o_orderkey % 86400) AS changed_at
            )
            FROM {data.glob("orders_before")} WHERE hash(o_orderkey) % 1000 < 10
        ) TO '{into}/changes.parquet' (FORMAT parquet, COMPRESSION zstd)
        """
    )


def lineitem_event(data: DataSets, into: Path) -> None:
    """The lines that are shipped last, 1 MB of them, with keys of their own."""
    connection = connect(data)
    all_rows = connection.execute(f"SELECT count(*) FROM {data.glob('lineitem_csv')}").fetchone()[0]
    all_bytes = sum(file.stat().st_size for file in data.files("lineitem_csv"))
    rows = all_rows * EVENT_BYTES // all_bytes
    connection.execute(
        f"""
        COPY (
            SELECT * REPLACE (l_orderkey + 8 AS l_orderkey) FROM {data.glob("lineitem_csv")}
            ORDER BY l_shipdate DESC, l_orderkey, l_linenumber LIMIT {rows}
        ) TO '{into}/event.csv' (FORMAT csv, HEADER)
        """
    )


def connect(data: DataSets) -> duckdb.DuckDBPyConnection:
    """A DuckDB that spills beside the data."""
    return duckdb.connect(config={"memory_limit": "6GB", "temp_directory": str(data.folder / "duckdb-temp")})


MAKERS: dict[str, Callable[[DataSets, Path], None]] = {
    "lineitem_csv": generated("csv", "lineitem", parts=8),
    "lineitem_gz": lineitem_gz,
    "lineitem_parquet": generated("parquet", "lineitem", parts=8),
    "orders_parquet": generated("parquet", "orders", parts=2),
    "customer_parquet": generated("parquet", "customer", parts=1),
    "orders_json": orders_json,
    "lineitem_small": lineitem_small,
    "orders_before": orders_before,
    "orders_changes": orders_changes,
    "lineitem_event": lineitem_event,
}
