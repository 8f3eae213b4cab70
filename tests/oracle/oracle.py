"""Checks the tables that unglue wrote against an independent engine, row for row.

For each file `sql/<database>/<table>.sql`, DuckDB runs the same SQL over the same landing files, and the result is
compared with what DuckDB reads back from the Parquet that unglue wrote, found through `unglue catalog show --json`.
Where the two dialects differ, a translation kept beside this script, `<database>.<table>.sql`, is run instead.

A transform that reads another transform's table reads DuckDB's own version of it, never unglue's.

    oracle.py --unglue target/debug/unglue --project . --data demo/data
    oracle.py --self-test --project . --data demo/data      every kind of difference is found; needs no unglue

Exit code 0: no difference. 1: differences, printed. 2: the comparison could not be made.
"""

import argparse
import sys
from pathlib import Path

import duckdb

import compare
import expected
import written


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--project", type=Path, default=Path("."), help="folder that holds sql/")
    parser.add_argument("--data", type=Path, required=True, help="data folder")
    parser.add_argument("--unglue", type=Path, help="the program under test")
    parser.add_argument("--self-test", action="store_true", help="check that the comparison can fail")
    arguments = parser.parse_args()
    if not arguments.self_test and arguments.unglue is None:
        parser.error("--unglue is needed, or --self-test")

    connection = duckdb.connect()
    # Threads that return rows in any order are faster, and the comparison ignores the order.
    connection.execute("SET preserve_insertion_order = false; SET TimeZone = 'UTC'")
    landing = expected.create_sources(connection, arguments.data)
    transforms = expected.create_results(connection, arguments.project / "sql", Path(__file__).parent, landing)
    if not transforms:
        print(f"oracle: no SQL file below {arguments.project / 'sql'}", file=sys.stderr)
        return 2
    if arguments.self_test:
        return compare.self_test(connection, transforms)

    tables = written.show(arguments.unglue, arguments.project, arguments.data)
    failed = 0
    for name in transforms:
        differences = check(connection, name, tables, arguments.data)
        rows = connection.execute(f"SELECT count(*) FROM {expected.quote(name)}").fetchone()[0]
        print(f"{name:<24} {rows:>8} rows  {'DIFFERENT' if differences else 'same'}")
        for difference in differences:
            print(f"    {difference}")
        failed += bool(differences)
    print(f"oracle: {len(transforms) - failed} passed, {failed} failed")
    return 1 if failed else 0


def check(connection: duckdb.DuckDBPyConnection, name: str, tables: dict, data: Path) -> list[str]:
    """All that is wrong with one table."""
    if name not in tables:
        return ["the catalog has no such table"]
    problems = written.load(connection, tables[name], data, "written")
    return problems or compare.differences(connection, expected.quote(name), "written")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (duckdb.Error, OSError, written.Unusable, expected.Unusable) as error:
        print(f"oracle: {error}", file=sys.stderr)
        sys.exit(2)
