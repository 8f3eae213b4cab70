"""Control groups of Linux, version 1 and 2: a limit of memory that kills, a quota of the processor, and their counters."""

import os
import signal
import time
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
PERIOD_US = 100_000
"""Period of the processor's quota in microseconds."""


class NotPermitted(Exception):
    """There is no control group that this process may make."""


class Version1:
    """A group of each of the controllers memory, cpu and cpuacct, below the groups that this process is in."""

    peak_is = "the largest of the group's `rss` every 20 ms: memory of the processes, without page cache and mapped files"

    def __init__(self, name: str, memory_bytes: int | None, processors: float | None):
        own = {
            controller: path
            for line in Path("/proc/self/cgroup").read_text().splitlines()
            for controllers, path in [line.split(":", 2)[1:]]
            for controller in controllers.split(",")
        }
        self.folders = {}
        for controller in ("memory", "cpu", "cpuacct"):
            parent = ROOT / controller / own.get(controller, "/").lstrip("/")
            self.folders[controller] = make(parent / name)
        if memory_bytes:
            (self.folders["memory"] / "memory.limit_in_bytes").write_text(str(memory_bytes))
        if processors:
            (self.folders["cpu"] / "cpu.cfs_period_us").write_text(str(PERIOD_US))
            (self.folders["cpu"] / "cpu.cfs_quota_us").write_text(str(int(processors * PERIOD_US)))

    def memory_bytes(self) -> int:
        return counter(self.folders["memory"] / "memory.stat", "total_rss")

    def cpu_seconds(self) -> float:
        return int((self.folders["cpuacct"] / "cpuacct.usage").read_text()) / 1e9

    def was_killed(self) -> bool:
        return counter(self.folders["memory"] / "memory.oom_control", "oom_kill") > 0


class Version2:
    """One group, beside the one that this process is in: a group that has processes can have no groups below it."""

    peak_is = "the largest of the group's `anon` every 20 ms: memory of the processes, without page cache and mapped files"

    def __init__(self, name: str, memory_bytes: int | None, processors: float | None):
        own = next(
            line.split(":", 2)[2] for line in Path("/proc/self/cgroup").read_text().splitlines() if line.startswith("0::")
        )
        parent = (ROOT / own.lstrip("/")).parent if own != "/" else ROOT
        enabled = (parent / "cgroup.subtree_control").read_text().split()
        if not {"memory", "cpu"} <= set(enabled):
            raise NotPermitted(f"the control group {parent} has no controllers for memory and cpu to give")
        folder = make(parent / name)
        self.folders = {"all": folder}
        if memory_bytes:
            (folder / "memory.max").write_text(str(memory_bytes))
            (folder / "memory.swap.max").write_text("0")
        if processors:
            (folder / "cpu.max").write_text(f"{int(processors * PERIOD_US)} {PERIOD_US}")

    def memory_bytes(self) -> int:
        return counter(self.folders["all"] / "memory.stat", "anon")

    def cpu_seconds(self) -> float:
        return counter(self.folders["all"] / "cpu.stat", "usage_usec") / 1e6

    def was_killed(self) -> bool:
        return counter(self.folders["all"] / "memory.events", "oom_kill") > 0


Group = Version1 | Version2


def create(name: str, memory_bytes: int | None, processors: float | None) -> Group:
    """A group with a limit of memory in bytes and so many processors.

    Raises NotPermitted if this process cannot make one.
    """
    if (ROOT / "memory" / "memory.limit_in_bytes").exists():
        version = Version1
    elif (ROOT / "cgroup.controllers").exists():
        version = Version2
    else:
        raise NotPermitted("this machine has no control groups")
    try:
        return version(name, memory_bytes, processors)
    except OSError as error:
        raise NotPermitted(f"a control group cannot be made: {error}") from error


def make(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder


def counter(file: Path, name: str) -> int:
    """The number beside a name, 0 if it is not there."""
    lines = (line.split() for line in file.read_text().splitlines())
    return next((int(words[1]) for words in lines if words[0] == name), 0)


def enter(group: Group) -> None:
    """Moves this process into the group."""
    for folder in group.folders.values():
        (folder / "cgroup.procs").write_text(str(os.getpid()))


def remove(group: Group) -> None:
    """Ends what is left in the group, and removes it."""
    for folder in group.folders.values():
        while processes := (folder / "cgroup.procs").read_text().split():
            for process in processes:
                try:
                    os.kill(int(process), signal.SIGKILL)
                except ProcessLookupError:
                    pass
            time.sleep(0.01)
        folder.rmdir()
