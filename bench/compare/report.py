"""Writes bench.md and bench.svg from the results."""

from pathlib import Path

import explain
import plot
import price
import results
from jobs import JOBS

OTHERS = {"duckdb": "DuckDB", "polars": "Polars", "spark": "Spark"}
TITLES = {"unglue": "unglue", **OTHERS}
MEASURES = {
    "seconds": "Wall time",
    "cpu_seconds": "Processor time",
    "peak_bytes": "Peak memory",
    "output_bytes": "Bytes written",
}
BOXES = {results.OPEN: "All of the machine", results.LAMBDA: "The shape of a Lambda function"}


def write(jobs: dict[str, dict[str, results.Record]], folder: Path) -> None:
    """Writes the report of all results that there are into a folder."""
    plot.write(jobs, folder / "bench.svg", list(OTHERS))
    parts = [explain.head(jobs)]
    for box, title in BOXES.items():
        records = {job.name: jobs[job.name][box] for job in JOBS if box in jobs.get(job.name, {})}
        if records:
            parts += [f"## {title}", explain.BOXES[box], *ratio_tables(records), raw_table(records, box), price_table(records, box)]
            parts += failures(records)
    parts.append(explain.measured(jobs))
    (folder / "bench.md").write_text("\n\n".join(parts) + "\n")


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table; all columns but the first are aligned to the right."""
    rule = ["---"] + ["---:"] * (len(head) - 1)
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, rule, *rows])


def ratio_tables(records: dict[str, results.Record]) -> list[str]:
    """For each measure, unglue ÷ each other engine."""
    parts = []
    for measure, title in MEASURES.items():
        rows = [
            [f"`{job}`", *(ratio(record, other, measure) for other in OTHERS)] for job, record in records.items()
        ]
        parts.append(f"### {title}: unglue ÷ the other\n\n" + table(["job", *OTHERS.values()], rows))
    return parts


def ratio(record: results.Record, other: str, measure: str) -> str:
    """A ratio with the least and the largest that two rounds give, or why there is none."""
    found = results.ratio(record, other, measure)
    if found:
        return f"**{found[0]:.2f}** ({found[1]:.2f}–{found[2]:.2f})"
    troubles = (f"{TITLES[name]} {trouble}" for name in ("unglue", other) if (trouble := state(record, name)))
    return next(troubles, "measured apart")


def state(record: results.Record, name: str) -> str | None:
    """What kept an engine from a result; `None` if nothing did."""
    engine = record["engines"].get(name)
    if engine is None:
        return "not measured"
    if engine["failure"]:
        return "failed"
    return "WRONG" if engine["differs"] else None


def raw_table(records: dict[str, results.Record], box: str) -> str:
    """Absolute figures: medians, and the range of the wall time."""
    head = ["job", "engine", "wall s", "least–most", "of it start s", "CPU s", "peak MB", "written MB", "files"]
    rows = []
    for job, record in records.items():
        for name in TITLES:
            trouble = state(record, name)
            if trouble:
                rows.append([f"`{job}`", TITLES[name], trouble, *[""] * 6])
                continue
            engine = record["engines"][name]
            least, most = results.spread(engine, "seconds")
            session = results.median(engine, "session_seconds")
            rows.append(
                [
                    f"`{job}`",
                    TITLES[name],
                    f"{results.median(engine, 'seconds'):.2f}",
                    f"{least:.2f}–{most:.2f}",
                    f"{session:.2f}" if session else "",
                    f"{results.median(engine, 'cpu_seconds'):.2f}",
                    f"{results.median(engine, 'peak_bytes') / (1 << 20):.0f}",
                    f"{results.median(engine, 'output_bytes') / 1e6:.1f}",
                    f"{results.median(engine, 'output_files'):.0f}",
                ]
            )
    return "### Seconds and megabytes\n\n" + table(head, rows)


def price_table(records: dict[str, results.Record], box: str) -> str:
    """What Lambda would bill for each engine, and Glue for Spark."""
    head = ["job", *(f"{title}: MB, GB-s, $" for title in TITLES.values()), "Glue $", "Glue ÷ unglue on Lambda"]
    rows = []
    for job, record in records.items():
        costs = {name: lambda_cost(record, name, box) for name in TITLES}
        spark, ours = record["engines"].get("spark"), costs["unglue"]
        glue = price.glue_dollars(results.median(spark, "seconds") if results.did_it(spark) else 0)
        cells = [
            f"{cost[0]:,} MB, {price.gb_seconds(*cost):.1f}, {thousands(price.lambda_dollars(*cost))}" if cost else ""
            for cost in costs.values()
        ]
        factor = f"{glue / price.lambda_dollars(*ours):.0f}" if ours else ""
        rows.append([f"`{job}`", *cells, thousands(glue), factor])
    return "### Price of 1,000 runs\n\n" + explain.PRICE + "\n\n" + table(head, rows)


def lambda_cost(record: results.Record, name: str, box: str) -> tuple[int, float] | None:
    """The memory setting in MB and the seconds that Lambda would bill; `None` if there is no such function."""
    engine = record["engines"].get(name)
    if not results.did_it(engine):
        return None
    memory = price.lambda_mb(results.median(engine, "peak_bytes"))
    if box == results.LAMBDA:
        memory = record["limits"]["memory_mb"]
    return (memory, results.median(engine, "seconds")) if memory else None


def thousands(dollars: float) -> str:
    """The price of a thousand."""
    return f"{dollars * 1000:.2f}"


def failures(records: dict[str, results.Record]) -> list[str]:
    """What failed and what was wrong, with the reason."""
    lines = []
    for job, record in records.items():
        for name, engine in record["engines"].items():
            if engine["failure"]:
                lines.append(f"- `{job}`, {TITLES[name]}, failed: {engine['failure']}")
            lines += [f"- `{job}`, {TITLES[name]}, **wrong table**: {difference}" for difference in engine["differs"]]
    return ["### Failures\n\n" + "\n".join(lines)] if lines else []
