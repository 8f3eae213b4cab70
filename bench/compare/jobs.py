"""The jobs: what each reads, what it makes, and how it is measured. The SQL of each program lies in sql/<program>/."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Job:
    """One job. All engines run the same `program` over the same `arrives`, and must come to the same rows."""

    name: str
    what: str
    """What it does, for the report."""
    program: str
    """Folder below sql/ with unglue's project, and the name of the function or file of the other engines."""
    table: str
    """The table that is made, in the database `lake`."""
    arrives: dict[str, str]
    """Tables of the database `raw` and the data sets that are their objects; what the measured run reads."""
    before: dict[str, str] = field(default_factory=dict)
    """Data sets that were in those tables, and processed, before the measured run."""
    before_program: str = ""
    """The program by which engines other than unglue made the table out of `before`."""
    decimals: bool = False
    """Whether the catalog declares amounts of text formats as decimal(12,2); they are doubles otherwise."""
    memory_mb: int | None = None
    """Memory limit of the box in MB, where the job is about that limit."""


JOBS = [
    Job(
        "month",
        "lineitem, 8 CSV files, to Parquet by month of shipping (84 partitions), one computed column, amounts decimal",
        program="month",
        table="lineitem",
        arrives={"lineitem": "lineitem_csv"},
        decimals=True,
    ),
    Job(
        "month_doubles",
        "the same with the amounts as doubles, which is what unglue infers",
        program="month_doubles",
        table="lineitem",
        arrives={"lineitem": "lineitem_csv"},
    ),
    Job(
        "month_512",
        "month, where 512 MB are all the memory there is",
        program="month",
        table="lineitem",
        arrives={"lineitem": "lineitem_csv"},
        decimals=True,
        memory_mb=512,
    ),
    Job(
        "whole",
        "the columns of month in one table without partitions",
        program="whole",
        table="lineitem",
        arrives={"lineitem": "lineitem_csv"},
        decimals=True,
    ),
    Job(
        "month_gz",
        "month from 16 .csv.gz files",
        program="month",
        table="lineitem",
        arrives={"lineitem": "lineitem_gz"},
        decimals=True,
    ),
    Job(
        "json_day",
        "orders with their lines nested, 8 files of JSON lines, to Parquet by day of ordering (2,406 partitions)",
        program="json_day",
        table="orders",
        arrives={"orders": "orders_json"},
    ),
    Job(
        "enrich",
        "lineitem joined with orders and customer, Parquet to Parquet by month of ordering (80 partitions)",
        program="enrich",
        table="lines",
        arrives={"lineitem": "lineitem_parquet", "orders": "orders_parquet", "customer": "customer_parquet"},
    ),
    Job(
        "daily",
        "sums, averages and distinct counts of lineitem by day, flag and mode, Parquet to one table",
        program="daily",
        table="shipped_daily",
        arrives={"lineitem": "lineitem_parquet"},
    ),
    Job(
        "day_2500",
        "lineitem, Parquet to Parquet by day of shipping (2,526 partitions)",
        program="day_2500",
        table="lineitem",
        arrives={"lineitem": "lineitem_parquet"},
    ),
    Job(
        "many_20000",
        "lineitem, Parquet to Parquet in 20,000 partitions, with rows of each in every file",
        program="many_20000",
        table="lineitem",
        arrives={"lineitem": "lineitem_parquet"},
    ),
    Job(
        "compact",
        "lineitem in 5,000 small Parquet files, rewritten as few",
        program="compact",
        table="lineitem",
        arrives={"lineitem_small": "lineitem_small"},
    ),
    Job(
        "merge",
        "changes of 1 % of the rows, in all months, merged into orders (80 partitions)",
        program="merge",
        table="orders",
        arrives={"order_changes": "orders_changes"},
        before={"order_changes": "orders_before"},
        before_program="orders_by_month",
    ),
    Job(
        "event",
        "1 MB of CSV arrives and is appended to the table of `month`",
        program="month",
        table="lineitem",
        arrives={"lineitem": "lineitem_event"},
        before={"lineitem": "lineitem_csv"},
        before_program="month",
        decimals=True,
    ),
]
