-- @description: Lines with their order and customer, by month of the order
-- @write: append
-- @driving: raw.lineitem
-- @partition: month
SELECT
    l.l_orderkey,
    l.l_linenumber,
    l.l_partkey,
    l.l_quantity,
    l.l_extendedprice,
    CAST(l.l_extendedprice * (1 - l.l_discount) AS DECIMAL(18, 4)) AS revenue,
    l.l_shipdate,
    l.l_shipmode,
    o.o_orderdate,
    o.o_orderpriority,
    c.c_custkey,
    c.c_name,
    c.c_mktsegment,
    c.c_nationkey,
    CAST(DATE_TRUNC('month', o.o_orderdate) AS DATE) AS month
FROM raw.lineitem AS l
INNER JOIN raw.orders AS o ON l.l_orderkey = o.o_orderkey
INNER JOIN raw.customer AS c ON o.o_custkey = c.c_custkey
