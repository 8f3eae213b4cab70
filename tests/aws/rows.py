"""Rows that are sent, and how they are compared with those that came out."""

import csv
import io
from collections import Counter


def orders_csv(rows: list[tuple[int, int, str]], **more: str) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["id", "amount", "at", *more])
    writer.writerows([*row, *more.values()] for row in rows)
    return text.getvalue().encode()


def columns(table: dict) -> list[tuple[str, str]]:
    return [(column["Name"], column["Type"]) for column in table["StorageDescriptor"]["Columns"]]


def difference(found: list, wanted: list) -> dict[str, list]:
    """Rows that are there too often, and too seldom; at most five of each."""
    found, wanted = Counter(found), Counter(wanted)
    sides = {"too many": list((found - wanted).elements()), "missing": list((wanted - found).elements())}
    return {name: [f"{len(rows)} rows", *rows[:5]] for name, rows in sides.items() if rows}
