"""Runs a process in a box, and measures the whole tree of processes: seconds, processor seconds, memory."""

import os
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import cgroups

EVERY = 0.02
"""Seconds between two looks at the memory."""


@dataclass(frozen=True)
class Limits:
    """What a process may use."""

    memory_mb: int
    """More than this kills it."""
    processors: float | None = None
    """A quota of the processor; none is all of the machine."""


@dataclass
class Measured:
    """What a process took."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    stdout: str
    failure: str | None
    """Why it failed; `None` if it did not."""
    how: str
    """How the memory was measured, and whether limits held."""


class Watch(threading.Thread):
    """Looks at the memory of a group every now and then, and ends a process that takes too long."""

    def __init__(self, process: subprocess.Popen, group: cgroups.Group | None, timeout: float):
        super().__init__(daemon=True)
        self.process, self.group, self.timeout = process, group, timeout
        self.ended = threading.Event()
        self.peak_bytes = 0
        self.timed_out = False

    def run(self) -> None:
        until = time.perf_counter() + self.timeout
        while True:
            if self.group:
                self.peak_bytes = max(self.peak_bytes, self.group.memory_bytes())
            if self.ended.wait(EVERY):
                return
            if time.perf_counter() > until:
                self.timed_out = True
                self.process.kill()

    def stop(self) -> None:
        self.ended.set()
        self.join()


def run(command: list[str | Path], limits: Limits, timeout: float) -> Measured:
    """Runs a command to its end, or for `timeout` seconds, within the limits where the machine permits."""
    try:
        group = cgroups.create(f"unglue-bench-{os.getpid()}", limits.memory_mb << 20, limits.processors)
        how = group.peak_is
    except cgroups.NotPermitted as error:
        group = None
        how = f"NO LIMITS HELD ({error}): the largest resident set of any single process"
    try:
        return measure([str(word) for word in command], group, limits, timeout, how)
    finally:
        if group:
            cgroups.remove(group)


def measure(command: list[str], group: cgroups.Group | None, limits: Limits, timeout: float, how: str) -> Measured:
    """Runs the command in the group."""
    with tempfile.TemporaryFile("w+") as stdout, tempfile.TemporaryFile("w+") as stderr:
        started = time.perf_counter()
        enter = (lambda: cgroups.enter(group)) if group else None
        process = subprocess.Popen(command, stdout=stdout, stderr=stderr, preexec_fn=enter)
        watch = Watch(process, group, timeout)
        watch.start()
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            raise
        finally:
            seconds = time.perf_counter() - started
            watch.stop()
        process.returncode = os.waitstatus_to_exitcode(status)
        failure = None
        if watch.timed_out:
            failure = f"not done after {timeout:.0f} s"
        elif status != 0 and group and group.was_killed():
            failure = f"killed at the limit of {limits.memory_mb} MB"
        elif status != 0:
            stderr.seek(0)
            failure = f"exit code {process.returncode}: {complaint(stderr.read())}"
        stdout.seek(0)
        return Measured(
            seconds=seconds,
            cpu_seconds=group.cpu_seconds() if group else usage.ru_utime + usage.ru_stime,
            peak_bytes=watch.peak_bytes if group else usage.ru_maxrss * 1024,
            stdout=stdout.read(),
            failure=failure,
            how=how,
        )


def complaint(stderr: str) -> str:
    """The line of an error text that says most, shortened: Java's exception below Python's, else the last one of Python,
    else the first that speaks of an error."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    java = [line.removeprefix(": ") for line in lines if line.startswith(": ")]
    telling = [line for line in lines if "error" in line.lower() or "exception" in line.lower()]
    python = [line for line in telling if line.split(":")[0].isidentifier() or "Error:" in line]
    return (java[:1] or python[-1:] or telling[:1] or lines[-1:] or ["it says nothing"])[0][:250]
