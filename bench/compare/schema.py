"""Columns of the text files, by name, with their types in the words of SQL. Amounts are declared by the job."""

AMOUNT = "amount"
DECIMAL = "DECIMAL(12,2)"
DOUBLE = "DOUBLE"

LINEITEM = {
    "l_orderkey": "BIGINT",
    "l_partkey": "BIGINT",
    "l_suppkey": "BIGINT",
    "l_linenumber": "BIGINT",
    "l_quantity": "BIGINT",
    "l_extendedprice": AMOUNT,
    "l_discount": AMOUNT,
    "l_tax": AMOUNT,
    "l_returnflag": "VARCHAR",
    "l_linestatus": "VARCHAR",
    "l_shipdate": "DATE",
    "l_commitdate": "DATE",
    "l_receiptdate": "DATE",
    "l_shipinstruct": "VARCHAR",
    "l_shipmode": "VARCHAR",
    "l_comment": "VARCHAR",
}

LINE = {
    "line": "BIGINT",
    "part": "BIGINT",
    "quantity": "BIGINT",
    "price": "DOUBLE",
    "discount": "DOUBLE",
    "mode": "VARCHAR",
}
"""One element of `lines` in orders_json."""

ORDERS_JSON = {
    "order_id": "BIGINT",
    "customer_id": "BIGINT",
    "status": "VARCHAR",
    "total": "DOUBLE",
    "ordered_on": "DATE",
    "priority": "VARCHAR",
    "clerk": "VARCHAR",
    "comment": "VARCHAR",
}
"""Without the nested column `lines`."""


def lineitem(amounts: str) -> dict[str, str]:
    """The columns of lineitem, the amounts as `DECIMAL` or `DOUBLE`."""
    return {name: amounts if sql_type == AMOUNT else sql_type for name, sql_type in LINEITEM.items()}
