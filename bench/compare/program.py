"""A program as the other engines run it: the SELECT of unglue's SQL file, and where its rows go."""

import argparse
import re
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Program:
    """What an engine is told on its command line."""

    name: str
    raw: Path
    """Folder with a folder of objects for each table of the database `raw`."""
    into: Path
    """Folder of the table to make, as Hive lays it out."""
    before: Path | None
    """Folder of the table as it was, for programs that change one."""
    temp: Path
    """Where to spill."""
    memory_mb: int
    """Memory of the box in MB; how much of it the engine plans with is its own business."""
    cores: int

    @property
    def file(self) -> Path:
        """unglue's SQL file."""
        return next((HERE / "sql" / self.name / "sql").glob("*/*.sql"))

    @property
    def select(self) -> str:
        """The query, with the tables `raw.…` of unglue."""
        return "".join(line for line in self.file.open() if not line.startswith("--"))

    @property
    def partition(self) -> list[str]:
        """Partition columns, as the header has them."""
        return re.findall(r"^-- @partition: (\w+)$", self.file.read_text(), re.MULTILINE)

    def tables(self) -> list[Path]:
        """The folders of the tables of `raw`."""
        return sorted(path for path in self.raw.iterdir() if path.is_dir())

    def objects(self, table: str) -> list[str]:
        """The objects of a table of `raw`."""
        return sorted(str(path) for path in (self.raw / table).iterdir())


def from_arguments() -> Program:
    """The program that the command line of an engine names."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("--raw", type=Path, required=True)
    parser.add_argument("--into", type=Path, required=True)
    parser.add_argument("--before", type=Path)
    parser.add_argument("--temp", type=Path, required=True)
    parser.add_argument("--memory-mb", type=int, required=True)
    parser.add_argument("--cores", type=int, required=True)
    return Program(**vars(parser.parse_args()))
