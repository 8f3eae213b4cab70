"""Measures one job: all engines in turn, several rounds, and the comparison of their tables."""

import datetime
import json
import shutil
from pathlib import Path

import agree
import box
import folders
import machine
from data import DataSets
from engines import Engine
from jobs import Job


class Session:
    """What is the same for all jobs of a call."""

    def __init__(self, sets: DataSets, work: Path, rounds: int, timeout: float):
        self.sets, self.work, self.rounds, self.timeout = sets, work, rounds, timeout

    def measure(self, job: Job, engines: list[Engine], limits: box.Limits) -> dict:
        """The part of a record that is measured: input_bytes and engines."""
        print(f"\n{job.name}: {job.what}", flush=True)
        folders.fresh(self.work)
        sources = [file for name in job.arrives.values() for file in self.sets.files(name)]
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        found = {}
        for engine in engines:
            engine.former_state(job, self.sets)
            found[engine.name] = {
                "version": engine.version(), "date": now[:10], "session": now, "rounds": [], "failure": None, "differs": []
            }  # fmt: skip
        prints: dict[str, agree.Fingerprint] = {}
        for number in range(self.rounds):
            turn = number % len(engines)
            for engine in engines[turn:] + engines[:turn]:
                # Who has failed once at the same work in the same box would do so again.
                if found[engine.name]["failure"] is None:
                    self.round(job, engine, limits, sources, found[engine.name], prints)
        compare(found, prints)
        return {"input_bytes": sum(file.stat().st_size for file in sources), "engines": found}

    def round(
        self,
        job: Job,
        engine: Engine,
        limits: box.Limits,
        sources: list[Path],
        found: dict,
        prints: dict[str, agree.Fingerprint],
    ) -> None:
        """One engine does the job once."""
        temp = folders.fresh(self.work / "temp")
        cores = int(limits.processors or machine.cores())
        prepared = engine.prepare(job, self.sets, limits.memory_mb, cores, temp)
        before = folders.parquet_files(prepared.table) if prepared.table.exists() else set()
        # All start with the source in the page cache.
        folders.read_once(sources)
        load = machine.load()
        measured = box.run(prepared.command, limits, self.timeout)
        found["memory_measured"] = measured.how
        print(f"  {engine.name:8}{told(measured)}", flush=True)
        if measured.failure:
            # The folder is this machine's; results are kept in the repository.
            found["failure"] = measured.failure.replace(str(self.work), "…")
            found["rounds"] = []
            shutil.rmtree(engine.data)
            return
        written = folders.parquet_files(prepared.table) - before
        found["rounds"].append(
            {
                "seconds": round(measured.seconds, 3),
                "session_seconds": round(session_seconds(measured.stdout), 3),
                "cpu_seconds": round(measured.cpu_seconds, 3),
                "peak_bytes": measured.peak_bytes,
                "output_bytes": sum(file.stat().st_size for file in written),
                "output_files": len(written),
                "load_before": round(load, 2),
            }
        )
        if engine.name not in prints:
            prints[engine.name] = agree.fingerprint(engine.files(job), self.work / "agree-temp")
            shutil.rmtree(self.work / "agree-temp", ignore_errors=True)
        # What is deleted before it was flushed is not written to the disk while the next engine is measured.
        shutil.rmtree(engine.data)


def session_seconds(stdout: str) -> float:
    """Seconds until the engine could begin, as it says itself; unglue has nothing of the kind."""
    last = (stdout.strip().splitlines() or [""])[-1]
    return json.loads(last)["session_seconds"] if last.startswith('{"session_seconds"') else 0.0


def compare(found: dict[str, dict], prints: dict[str, agree.Fingerprint]) -> None:
    """Compares the tables of all engines with DuckDB's, or with the first there is."""
    reference = "duckdb" if "duckdb" in prints else next(iter(prints), None)
    for name, made in prints.items():
        found[name]["differs"] = agree.differences(prints[reference], made)
        if found[name]["differs"]:
            print(f"  !!! WRONG: the tables of {name} and {reference} differ:", flush=True)
            for difference in found[name]["differs"]:
                print(f"  !!!     {difference}", flush=True)
    rows = prints[reference]["rows"] if reference else 0
    if len(prints) > 1 and not any(engine["differs"] for engine in found.values()):
        print(f"  the tables of {', '.join(prints)} agree: {rows:,} rows", flush=True)


def told(measured: box.Measured) -> str:
    """A run in one line."""
    if measured.failure:
        return f"failed: {measured.failure}"
    return f"{measured.seconds:8.2f} s {measured.cpu_seconds:8.2f} CPU s {measured.peak_bytes / (1 << 20):8.0f} MB"
