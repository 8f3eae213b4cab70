"""The machine that was measured on."""

import os
import platform
import subprocess
from pathlib import Path


def describe() -> dict[str, str | int]:
    """Its processor, cores, memory, kernel, Java and Python."""
    processor = next(
        (line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").open() if line.startswith("model name")),
        platform.machine(),
    )
    memory = next(int(line.split()[1]) for line in Path("/proc/meminfo").open() if line.startswith("MemTotal:"))
    return {
        "processor": processor,
        "cores": cores(),
        "memory_mb": memory // 1024,
        "kernel": platform.release(),
        "python": platform.python_version(),
        "java": java(),
    }


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def java() -> str:
    """The version of Java, which Spark needs."""
    try:
        told = subprocess.run(["java", "-version"], capture_output=True, text=True).stderr
    except FileNotFoundError:
        return "none"
    return told.split('"')[1] if '"' in told else "unknown"


def load() -> float:
    """Processes that ran or waited to run in the last minute."""
    return os.getloadavg()[0]
