"""Compares two tables as multisets of rows: exact values exactly, floating-point values to a relative 1e-9."""

import duckdb

from expected import quote

TOLERANCE = 1e-9
SHOWN = 5

# Types that may stand for each other: engines choose other widths for the same thing.
FAMILIES = {
    "integer": ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"),
    "floating": ("FLOAT", "DOUBLE"),
}


def differences(connection: duckdb.DuckDBPyConnection, wanted: str, found: str) -> list[str]:
    """What differs between two tables, in words; empty if nothing does."""
    wanted_types, found_types = types(connection, wanted), types(connection, found)
    problems = []
    for name in sorted(wanted_types.keys() | found_types.keys()):
        wanted_type, found_type = wanted_types.get(name), found_types.get(name)
        if wanted_type is None or found_type is None:
            problems.append(f"column {name} is {'missing' if found_type is None else 'one too many'}")
        elif family(wanted_type) != family(found_type):
            problems.append(f"column {name} should be {wanted_type}, it is {found_type}")
    if problems:
        return problems

    exact = [name for name, sql_type in wanted_types.items() if family(sql_type) != "floating"]
    floating = [name for name in wanted_types if name not in exact]
    problems += exact_differences(connection, exact, wanted, found)
    return problems or floating_differences(connection, exact, floating, wanted, found)


def exact_differences(
    connection: duckdb.DuckDBPyConnection, columns: list[str], wanted: str, found: str
) -> list[str]:
    """Rows that one side has more often than the other, looking at the exact columns only."""
    listed = ", ".join(f'"{name}"' for name in columns)
    problems = []
    for verb, more, less in (("missing", wanted, found), ("too many", found, wanted)):
        surplus = f"(SELECT {listed} FROM {more}) EXCEPT ALL (SELECT {listed} FROM {less})"
        count = connection.execute(f"SELECT count(*) FROM ({surplus})").fetchone()[0]
        if count:
            rows = connection.execute(f"SELECT * FROM ({surplus}) ORDER BY ALL LIMIT {SHOWN}").fetchall()
            problems.append(f"{count} row(s) {verb}, for example:")
            problems += [f"  {dict(zip(columns, row, strict=True))}" for row in rows]
    return problems


def floating_differences(
    connection: duckdb.DuckDBPyConnection, exact: list[str], floating: list[str], wanted: str, found: str
) -> list[str]:
    """Floating-point values that differ, in two tables whose exact columns are known to be the same."""
    if not floating:
        return []
    order = ", ".join(f'"{name}"' for name in exact + floating)
    numbered = "(SELECT *, row_number() OVER (ORDER BY {order}) AS position FROM {table})"
    sides = f"{numbered.format(order=order, table=wanted)} AS w JOIN {numbered.format(order=order, table=found)} AS f"
    problems = []
    for name in floating:
        close = (
            f'CASE WHEN w."{name}" IS NULL OR f."{name}" IS NULL'
            f' THEN w."{name}" IS NOT DISTINCT FROM f."{name}"'
            f' WHEN isfinite(w."{name}") AND isfinite(f."{name}")'
            f' THEN abs(w."{name}" - f."{name}") <= {TOLERANCE} * greatest(abs(w."{name}"), abs(f."{name}"))'
            f' ELSE w."{name}" = f."{name}" END'
        )
        rows = connection.execute(
            f'SELECT w."{name}", f."{name}", count(*) OVER () FROM {sides} USING (position)'
            f" WHERE NOT ({close}) LIMIT {SHOWN}"
        ).fetchall()
        if rows:
            examples = ", ".join(f"{row[0]!r} is {row[1]!r}" for row in rows)
            problems.append(f"{rows[0][2]} value(s) of {name} differ: {examples}")
    return problems


def types(connection: duckdb.DuckDBPyConnection, table: str) -> dict[str, str]:
    """Type by lower-case column name."""
    return {row[0].lower(): row[1] for row in connection.execute(f"DESCRIBE {table}").fetchall()}


def family(sql_type: str) -> str:
    """The name under which types that may stand for each other are the same; the scale of a decimal counts."""
    if sql_type.endswith("[]"):
        return family(sql_type[:-2]) + "[]"
    if sql_type.startswith("DECIMAL("):
        return "decimal of scale " + sql_type.removesuffix(")").split(",")[1]
    return next((name for name, members in FAMILIES.items() if sql_type in members), sql_type)


def self_test(connection: duckdb.DuckDBPyConnection, tables: list[str]) -> int:
    """Spoils a copy of each table's first rows in every way that its types allow; all must be found, and the unspoilt copy
    accepted."""
    wrong = spoilt = 0
    for name in tables:
        original = "original"
        connection.execute(f"CREATE OR REPLACE TEMP TABLE original AS SELECT * FROM {quote(name)} LIMIT 1000")
        for what, statement in spoilers(types(connection, original)):
            connection.execute(f"CREATE OR REPLACE TEMP TABLE copy AS SELECT * FROM {original}")
            connection.execute("CREATE OR REPLACE TEMP TABLE one AS SELECT * FROM copy ORDER BY ALL LIMIT 1")
            if statement:
                connection.execute(statement)
            if bool(differences(connection, original, "copy")) != bool(statement):
                wrong += 1
                print(f"{name}: {what}: {'not found' if statement else 'a difference where there is none'}")
            spoilt += 1
    print(f"self-test: {spoilt - wrong} passed, {wrong} failed")
    return 1 if wrong else 0


def spoilers(columns: dict[str, str]) -> list[tuple[str, str]]:
    """Ways to spoil the table `copy`, each with the statement that does it."""
    found = [
        ("untouched", ""),
        ("a row lost", "DELETE FROM copy WHERE rowid = (SELECT max(rowid) FROM copy)"),
        ("a row twice", "INSERT INTO copy SELECT * FROM one"),
        ("a column lost", f'ALTER TABLE copy DROP COLUMN "{next(iter(columns))}"'),
    ]
    first = "WHERE rowid = (SELECT min(rowid) FROM copy)"
    changes = {"integer": '"{0}" + 1', "floating": '"{0}" * 1.0001 + 0.0001', "VARCHAR": "coalesce(\"{0}\", '') || ' '",
               "DATE": '"{0}" + 1', "BOOLEAN": 'NOT "{0}"', "decimal": '"{0}" + 0.01'}
    for name, sql_type in columns.items():
        change = changes.get(family(sql_type).split(" ")[0])
        present = f'WHERE rowid = (SELECT min(rowid) FROM copy WHERE "{name}" IS NOT NULL)'
        found.append((f"{name} nulled", f'UPDATE copy SET "{name}" = NULL {present}'))
        if change:
            place = first if sql_type == "VARCHAR" else present
            found.append((f"{name} changed", f'UPDATE copy SET "{name}" = {change.format(name)} {place}'))
    return found
