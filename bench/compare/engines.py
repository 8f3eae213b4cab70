"""The engines: how each is given its data, started, and where its table is then found."""

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import folders
from data import DataSets
from jobs import Job

HERE = Path(__file__).parent
UNGLUE_SHARE = 0.6
"""Part of the box's memory that is given to unglue's queries: what it takes of a machine by itself."""


@dataclass
class Prepared:
    """A run that can start."""

    command: list[str | Path]
    table: Path
    """Folder of the table."""


class Unglue:
    """The program `unglue`, with a data folder of its own for each run."""

    name = "unglue"

    def __init__(self, program: Path, work: Path):
        self.program = program
        self.data = work / "unglue"
        self.former = work / "unglue-before"

    def version(self) -> str:
        told = subprocess.run([self.program, "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
        # Such a build is several times slower; nobody should take its figures for the program's.
        return f"{told} (debug build)" if "debug" in str(self.program) else told

    def former_state(self, job: Job, sets: DataSets) -> None:
        """Runs what was there before, and keeps the data folder for all rounds."""
        if not job.before:
            return
        folders.fresh(self.data)
        self.arrive(job.before, sets)
        self.catalog(job)
        self.call("run", job)
        shutil.rmtree(self.former, ignore_errors=True)
        self.data.rename(self.former)

    def prepare(self, job: Job, sets: DataSets, memory_mb: int, cores: int, temp: Path) -> Prepared:
        """A data folder with the job's objects in the catalog. Cores are what the machine or the quota gives."""
        folders.fresh(self.data)
        if job.before:
            folders.link_tree(self.former, self.data)
        self.arrive(job.arrives, sets)
        if not job.before:
            self.catalog(job)
        memory = f"{int(memory_mb * UNGLUE_SHARE)}MB"
        command = [*self.command("run", job), "--memory", memory, "--temp", temp]
        return Prepared(command, self.data / "lake" / job.table)

    def arrive(self, objects: dict[str, str], sets: DataSets) -> None:
        for table, name in objects.items():
            folders.link_files(sets.files(name), self.data / "raw" / table)

    def catalog(self, job: Job) -> None:
        """Records the tables, and declares amounts as decimals where the job has them so.

        What is inferred for numbers with places is a double. There is no verb yet that declares a type: the entry of the
        embedded catalog is changed before anything refers to it.
        """
        self.call("catalog", job)
        for entry in self.data.glob("_unglue/_catalog/raw/*/*.json") if job.decimals else ():
            inferred = entry.read_text()
            declared = inferred.replace('"double"', '"decimal(12,2)"')
            if declared == inferred:
                raise ValueError(f"no amount was inferred as a double in {entry.relative_to(self.data)}")
            entry.unlink()
            entry.write_text(declared)

    def command(self, verb: str, job: Job) -> list[str | Path]:
        return [self.program, verb, "--json", "--project", HERE / "sql" / job.program, "--data", self.data]

    def call(self, verb: str, job: Job) -> str:
        result = subprocess.run(self.command(verb, job), capture_output=True, text=True)
        if result.returncode:
            raise RuntimeError(f"unglue {verb} failed for {job.name}: {result.stdout}{result.stderr}")
        return result.stdout

    def files(self, job: Job) -> set[Path]:
        """The files that the catalog says make the table."""
        command = [self.program, "catalog", "show", "--json", "--data", self.data]
        tables = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        table = next(table for table in tables if table["name"] == f"lake.{job.table}")
        parts = table["partitions"] if table["partition_keys"] else [table]
        locations = (part["location"].removeprefix("file://") for part in parts)
        return {file for location in locations for file in folders.parquet_files(self.data / location)}


class Script:
    """An engine that is a Python library: each run is a new process of its script."""

    def __init__(self, name: str, work: Path):
        self.name = name
        self.data = work / name
        self.former = work / "others-before"

    def version(self) -> str:
        return version({"spark": "pyspark"}.get(self.name, self.name))

    def former_state(self, job: Job, sets: DataSets) -> None:
        """Makes the table as it was before, by DuckDB: it is one for all of these engines."""
        if not job.before or self.former.exists():
            return
        table = self.former / "table"
        self.arrive(job.before, sets, folders.fresh(self.former))
        (self.former / "temp").mkdir()
        command = self.command("duckdb", job.before_program, self.former / "raw", table, 4096, 2, self.former / "temp")
        subprocess.run(command, check=True, capture_output=True)

    def prepare(self, job: Job, sets: DataSets, memory_mb: int, cores: int, temp: Path) -> Prepared:
        """A folder with the job's objects and, where there is one, the table as it was."""
        self.arrive(job.arrives, sets, folders.fresh(self.data))
        table = self.data / "lake" / job.table
        table.parent.mkdir()
        command = self.command(self.name, job.program, self.data / "raw", table, memory_mb, cores, temp)
        if job.program == "merge":
            folders.link_tree(self.former / "table", self.data / "before")
            command += ["--before", self.data / "before"]
        elif job.before:
            folders.link_tree(self.former / "table", table)
        return Prepared(command, table)

    def arrive(self, objects: dict[str, str], sets: DataSets, data: Path) -> None:
        for table, name in objects.items():
            folders.link_files(sets.files(name), data / "raw" / table)

    def command(
        self, engine: str, program: str, raw: Path, into: Path, memory_mb: int, cores: int, temp: Path
    ) -> list[str | Path]:
        script = [sys.executable, HERE / f"engine_{engine}.py", program, "--raw", raw, "--into", into, "--temp", temp]
        return [*script, "--memory-mb", str(memory_mb), "--cores", str(cores)]

    def files(self, job: Job) -> set[Path]:
        return folders.parquet_files(self.data / "lake" / job.table)


Engine = Unglue | Script
NAMES = ["unglue", "duckdb", "polars", "spark"]


def engine(name: str, unglue: Path, work: Path) -> Engine:
    """An engine by its name; `work` is where its runs have their folders."""
    return Unglue(unglue, work) if name == "unglue" else Script(name, work)
