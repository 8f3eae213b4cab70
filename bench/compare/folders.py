"""Folders of hard links: a fresh one for each run, without a copy of the data."""

import os
import shutil
from pathlib import Path


def fresh(folder: Path) -> Path:
    """An empty folder in the place of what was there."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def link_files(files: list[Path], into: Path) -> None:
    """Puts files into a folder under their own names."""
    into.mkdir(parents=True, exist_ok=True)
    for file in files:
        os.link(file, into / file.name)


def link_tree(source: Path, into: Path) -> None:
    """Makes a folder that holds the same files as another."""
    shutil.copytree(source, into, copy_function=os.link, symlinks=True, dirs_exist_ok=True)


def parquet_files(folder: Path) -> set[Path]:
    """The files of a table that a reader sees."""
    return {
        path
        for path in folder.rglob("*.parquet")
        if not any(part.startswith((".", "_")) for part in path.relative_to(folder).parts)
    }


def read_once(files: list[Path]) -> None:
    """Reads files, so that they are in the page cache and belong to no box."""
    for file in files:
        with file.open("rb", buffering=0) as content:
            while content.read(1 << 22):
                pass
