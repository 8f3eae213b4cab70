"""The words of the report: what was measured, on what, and how."""

import results
from jobs import JOBS

BOXES = {
    results.OPEN: (
        "All cores of the machine, and a box of 10,240 MB, the largest Lambda function; `month_512` has 512 MB.\n"
        "A ratio below 1 means that unglue took less. It is of the medians; in brackets, the least and the largest that any two\n"
        "rounds give. Where these lie on both sides of 1, there is no difference that these rounds could show."
    ),
    results.LAMBDA: (
        "One processor by quota and a box of 1,769 MB, which is the memory with which Lambda gives a whole processor.\n"
        "These are the figures to compare prices by."
    ),
}
PRICE = (
    "Lambda bills the memory that is set times the seconds, $0.0000166667 a GB-s (x86). The setting is the smallest of 512, 1024,\n"
    "1769, 2048, 3008, 4096, 6144, 8192 and 10240 MB that is at least 1.15 × the measured peak; in the Lambda-shaped box it is\n"
    "that box's. A function with less than 3,538 MB has fewer than two processors, so where it was measured with more, the\n"
    "seconds are fewer than Lambda's. Glue: 2 DPU (8 processors, 32 GB) at $0.44 a DPU-hour, by the second, a minute at\n"
    "least, for the seconds that Spark took here, start included. Requests, storage and Lambda's own start are in neither."
)
HOW = """\
## How it is measured

- Each run is a process of its own, from its start to its end. For unglue this is the whole `unglue run`: the listing of the
  objects, catalog, ledger, checks, commit and registration. `unglue catalog` has recorded the tables beforehand. For the
  others it is a Python process that starts, does the job and ends; "of it start" is the time until the library is imported or
  Spark's session is there, as part of the wall time.
- The engines take turns, and each round begins with another. Files are in the page cache before each run, and what the run
  before has written is deleted. Each run has a fresh folder into which the sources are hard-linked.
- All engines read the same objects with the same types and write Parquet with zstd(3). DuckDB and Spark run unglue's own SQL file;
  Polars has its translation. For decimals, Polars needs casts to be exact, which the others do not.
- Spark repartitions by the partition columns before it writes, so that each partition has one file; without it each task
  writes a file into each partition. It runs in `local` mode with 60 % of the box as heap, 4 GB at most.
- DuckDB is told 80 % of the box's memory, unglue 60 %; Polars has no such setting. All spill to the same disk.
- After the first round the tables of all engines are read by DuckDB and compared: the number of rows; sum, least, largest and
  count of each number (sums to a relative 1e-9); and the sum of a hash over all exact columns of each row. unglue's tables
  are read as its catalog says. A table that differs makes the bench fail, and is marked WRONG.
- Processor time is that of the process and all its children. {memory}
- unglue infers doubles for numbers with decimal places, and has no verb yet to declare another type; for the jobs with
  decimals the bench changes the type in the catalog's file before the run.
- `merge`: unglue finds the partitions by itself and keeps a ledger; the others read the table, take out the keys that
  arrive, and write all partitions to a new folder. Moving that into place is not counted for them.
- What was written is what is new in the table's folder. unglue's ledger and catalog, a few small files for each run, are not in it."""


def head(jobs: dict[str, dict[str, results.Record]]) -> str:
    """Title, machine, versions, jobs."""
    records = [record for boxes in jobs.values() for record in boxes.values()]
    machines = sorted({machine(record) for record in records})
    versions = sorted(
        {f"{name} {engine['version']}" for record in records for name, engine in record["engines"].items()}
    )
    dates = sorted({engine["date"] for record in records for engine in record["engines"].values()})
    scales = sorted({record["scale"] for record in records})
    loads = [one["load_before"] for record in records for engine in record["engines"].values() for one in engine["rounds"]]
    rounds = sorted({len(engine["rounds"]) for record in records for engine in record["engines"].values()} - {0})
    busy = f"Load of the machine before each run: {min(loads):.1f} to {max(loads):.1f}.\n" if loads else ""
    return f"""# Comparison with other engines

Written by `make bench`; the figures are in `results.json`, nothing here is edited by hand.

![unglue ÷ the other engines](bench.svg)

Measured {" to ".join(dict.fromkeys((dates[0], dates[-1]))) if dates else "never"} on {"; ".join(machines) or "nothing"}.
{busy}Versions: {", ".join(versions)}. TPC-H at scale {", ".join(f"{scale:g}" for scale in scales)};
rounds of each engine: {" or ".join(map(str, rounds)) or "none"}.

```sh
make bench                                     # all jobs, three rounds
make bench BENCH="--jobs month,merge --rounds 5"  # some jobs; the results of the others stay
make bench BENCH="--lambda-shape"              # one processor and 1,769 MB
make bench BENCH="--scale 0.01 --rounds 1"     # whether all works; the results stay out of the repository
```

| job | what it does | read MB |
| --- | --- | ---: |
{chr(10).join(row(job, jobs) for job in JOBS if job.name in jobs)}"""


def row(job, jobs: dict[str, dict[str, results.Record]]) -> str:
    record = next(iter(jobs[job.name].values()))
    return f"| `{job.name}` | {job.what} | {record['input_bytes'] / 1e6:,.0f} |"


def machine(record: results.Record) -> str:
    this = record["machine"]
    return (
        f"{this['cores']} cores of {this['processor']}, {this['memory_mb'] / 1024:.0f} GB, Linux {this['kernel']}, "
        f"Python {this['python']}, Java {this['java']}"
    )


def measured(jobs: dict[str, dict[str, results.Record]]) -> str:
    """The last chapter; it says how the memory was measured when it was."""
    ways = {
        engine["memory_measured"]
        for boxes in jobs.values()
        for record in boxes.values()
        for engine in record["engines"].values()
        if "memory_measured" in engine
    }
    return HOW.format(memory="Peak memory: " + "; or: ".join(sorted(ways)) + ".")
