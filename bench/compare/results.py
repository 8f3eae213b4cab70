"""What was measured, as it is kept in results.json: by job, by box, by engine, with all rounds."""

import json
import statistics
from pathlib import Path

OPEN = "open"
"""All cores of the machine, and the memory of the largest Lambda function."""
LAMBDA = "lambda"
"""One processor and 1,769 MB, which is what Lambda gives with a whole processor."""

Record = dict
"""One job in one box: scale, date, machine, limits, input_bytes, and `engines` by name.

An engine has version, date, `session` (the same for engines that took turns), `rounds`, `failure` (a text, or null), `differs`
(a list of texts) and `memory_measured`. A round has seconds, session_seconds (those until the engine could begin),
cpu_seconds, peak_bytes, output_bytes, output_files and load_before.
"""


def read(file: Path) -> dict[str, dict[str, Record]]:
    """Records by job and box."""
    return json.loads(file.read_text())["jobs"] if file.exists() else {}


def write(file: Path, jobs: dict[str, dict[str, Record]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"jobs": jobs}, indent=1) + "\n")


def merge(jobs: dict[str, dict[str, Record]], job: str, box: str, record: Record) -> None:
    """Puts a record in the place of the former one. Engines that were not measured this time stay, if all else was the same."""
    boxes = jobs.setdefault(job, {})
    former = boxes.get(box, {})
    if all(former.get(part) == record[part] for part in ("scale", "machine", "limits", "input_bytes")):
        record["engines"] = {**former["engines"], **record["engines"]}
    boxes[box] = record


def median(engine: dict, measure: str) -> float:
    """The median of a measure over the rounds."""
    return statistics.median(one[measure] for one in engine["rounds"])


def spread(engine: dict, measure: str) -> tuple[float, float]:
    """The least and the largest of a measure over the rounds."""
    values = [one[measure] for one in engine["rounds"]]
    return min(values), max(values)


def did_it(engine: dict | None) -> bool:
    """Whether an engine was measured, did the job, and did it right."""
    return bool(engine and engine["rounds"] and not engine["failure"] and not engine["differs"])


def ratio(record: Record, other: str, measure: str) -> tuple[float, float, float] | None:
    """unglue ÷ another engine: of the medians; the least and the largest that any two rounds give.

    There is none if they did not take turns: the machine may have been another one in the meantime.
    """
    ours, theirs = record["engines"].get("unglue"), record["engines"].get(other)
    if not (did_it(ours) and did_it(theirs) and ours["session"] == theirs["session"]):
        return None
    (our_least, our_most), (their_least, their_most) = spread(ours, measure), spread(theirs, measure)
    if not their_least:
        return None
    return median(ours, measure) / median(theirs, measure), our_least / their_most, our_most / their_least
