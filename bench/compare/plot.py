"""Draws bench.svg: bars of the ratios, on a logarithmic axis, so that twice and half are as long."""

from pathlib import Path

import matplotlib

matplotlib.use("svg")

import matplotlib.pyplot as plt  # noqa: E402

import results  # noqa: E402
from jobs import JOBS  # noqa: E402

MEASURES = {"seconds": "wall time", "cpu_seconds": "processor time", "peak_bytes": "peak memory"}
COLOURS = {"duckdb": "#c99700", "polars": "#2b7bba", "spark": "#d1495b"}
LABELS = {"unglue": "unglue", "duckdb": "DuckDB", "polars": "Polars", "spark": "Spark"}
THICKNESS = 0.26


def write(jobs: dict[str, dict[str, results.Record]], file: Path, others: list[str]) -> None:
    """Draws the ratios of the jobs that were measured with all of the machine."""
    records = {job.name: jobs[job.name][results.OPEN] for job in JOBS if results.OPEN in jobs.get(job.name, {})}
    plt.rcParams.update({"svg.hashsalt": "unglue", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 9})
    figure, axes = plt.subplots(1, len(MEASURES), sharey=True, figsize=(11, 1.6 + 0.55 * len(records)), squeeze=False)
    for axis, (measure, title) in zip(axes[0], MEASURES.items(), strict=True):
        draw(axis, records, others, measure)
        axis.set_title(title)
    axes[0][0].set_yticks(range(len(records)), records)
    axes[0][0].invert_yaxis()
    handles = [plt.Rectangle((0, 0), 1, 1, color=COLOURS[other]) for other in others]
    figure.legend(handles, [f"unglue ÷ {LABELS[other]}" for other in others], loc="upper center", ncol=3, frameon=False)
    figure.supxlabel("left of 1 unglue takes less; the line is the range of the rounds", fontsize=9)
    figure.tight_layout(rect=(0, 0, 1, 1 - 0.35 / figure.get_figheight()))
    figure.savefig(file, metadata={"Date": None})
    plt.close(figure)


def draw(axis: plt.Axes, records: dict[str, results.Record], others: list[str], measure: str) -> None:
    """The bars of one measure."""
    axis.set_xscale("log", base=2)
    for index, other in enumerate(others):
        for position, record in enumerate(records.values()):
            place = position + (index - (len(others) - 1) / 2) * THICKNESS
            found = results.ratio(record, other, measure)
            if found:
                ratio, least, most = found
                axis.barh(place, ratio - 1, left=1, height=THICKNESS * 0.9, color=COLOURS[other])
                axis.plot([least, most], [place, place], color="#333333", linewidth=0.7)
            else:
                axis.text(1.03, place, missing(record, other), va="center", fontsize=6.5, color=COLOURS[other])
    axis.axvline(1, color="#333333", linewidth=0.9)
    axis.grid(axis="x", color="#dddddd", linewidth=0.5)
    axis.set_axisbelow(True)
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}" if value >= 1 else f"1/{1 / value:g}")
    axis.spines[["top", "right", "left"]].set_visible(False)


def missing(record: results.Record, other: str) -> str:
    """Why there is no bar."""
    for name in ("unglue", other):
        engine = record["engines"].get(name)
        if engine is None:
            return f"{LABELS[name]} not measured"
        if engine["failure"]:
            return f"{LABELS[name]} failed"
        if engine["differs"]:
            return f"{LABELS[name]} WRONG"
    return "measured apart"
