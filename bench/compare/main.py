"""`make bench`: runs the jobs in unglue, DuckDB, Polars and Spark, compares the tables, and writes down what each took."""

import argparse
import datetime
import shutil
import signal
import sys
from pathlib import Path

import engines
import machine
import report
import results
from box import Limits
from data import DataSets
from jobs import JOBS
from measure import Session

BENCH = Path(__file__).parent.parent
REPOSITORY = BENCH.parent
LARGEST_LAMBDA_MB = 10_240
WHOLE_PROCESSOR_MB = 1_769


def main() -> int:
    arguments = parse()
    arguments.unglue = arguments.unglue.resolve()
    # So that a run under way is ended, and its box removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if not arguments.unglue.exists():
        print(f"{arguments.unglue} does not exist: run `make build`, or name another with --unglue", file=sys.stderr)
        return 2
    kept = arguments.out or (None if arguments.scale == 1 else BENCH / "data" / f"scale-{arguments.scale:g}" / "report")
    file, pages = (kept / "results.json", kept) if kept else (BENCH / "results.json", REPOSITORY / "docs")
    failed = False if arguments.report_only else measure_all(arguments, file)
    pages.mkdir(parents=True, exist_ok=True)
    report.write(results.read(file), pages)
    print(f"\nresults in {file}, report in {pages / 'bench.md'}")
    return 1 if failed else 0


def measure_all(arguments: argparse.Namespace, file: Path) -> bool:
    """Measures the chosen jobs, and writes each down as soon as it is done; whether anything went wrong."""
    box = results.LAMBDA if arguments.lambda_shape else results.OPEN
    work = BENCH / "data" / "work"
    session = Session(DataSets(BENCH / "data", arguments.scale), work, arguments.rounds, arguments.timeout)
    failed = False
    try:
        for job in chosen(arguments.jobs, [job.name for job in JOBS]):
            job = next(known for known in JOBS if known.name == job)
            if arguments.lambda_shape and job.memory_mb:
                continue
            memory_mb = WHOLE_PROCESSOR_MB if arguments.lambda_shape else job.memory_mb or LARGEST_LAMBDA_MB
            limits = Limits(memory_mb, 1.0 if arguments.lambda_shape else None)
            chosen_engines = [
                engines.engine(name, arguments.unglue, work) for name in chosen(arguments.engines, engines.NAMES)
            ]
            record = {
                "scale": arguments.scale,
                "date": datetime.date.today().isoformat(),
                "machine": machine.describe(),
                "limits": {"memory_mb": limits.memory_mb, "processors": limits.processors or machine.cores()},
                **session.measure(job, chosen_engines, limits),
            }
            failed |= any(engine["differs"] for engine in record["engines"].values())
            failed |= bool(record["engines"].get("unglue", {}).get("failure"))
            jobs = results.read(file)
            results.merge(jobs, job.name, box, record)
            results.write(file, jobs)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return failed


def chosen(names: str | None, known: list[str]) -> list[str]:
    """The names of a list with commas; all by default."""
    if not names:
        return known
    wanted = names.split(",")
    if strange := [name for name in wanted if name not in known]:
        sys.exit(f"there is no {strange[0]}: known are {', '.join(known)}")
    return wanted


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--unglue", type=Path, required=True, help="the program, a release build")
    parser.add_argument("--scale", type=float, default=1, help="scale factor of TPC-H; 0.01 shows whether all works")
    parser.add_argument("--rounds", type=int, default=3, help="how often each engine does each job")
    parser.add_argument("--jobs", help="names with commas: " + ", ".join(job.name for job in JOBS))
    parser.add_argument("--engines", help="names with commas: " + ", ".join(engines.NAMES))
    parser.add_argument("--lambda-shape", action="store_true", help="one processor and 1,769 MB, in tables of their own")
    parser.add_argument("--timeout", type=float, default=1800, help="seconds after which a run is given up")
    parser.add_argument("--out", type=Path, help="folder for results and report; by default bench/ and docs/ at scale 1")
    parser.add_argument("--report-only", action="store_true", help="write the report of the results that are there")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
