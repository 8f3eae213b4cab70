-- @description: What was shipped, by day
-- @write: overwrite
SELECT
    l.l_shipdate,
    l.l_returnflag,
    l.l_shipmode,
    COUNT(*) AS line_count,
    COUNT(DISTINCT l.l_suppkey) AS suppliers,
    CAST(SUM(l.l_quantity) AS DECIMAL(18, 2)) AS quantity,
    CAST(SUM(l.l_extendedprice) AS DECIMAL(18, 2)) AS price,
    CAST(SUM(l.l_extendedprice * (1 - l.l_discount)) AS DECIMAL(18, 4)) AS revenue,
    AVG(CAST(l.l_discount AS DOUBLE)) AS discount
FROM raw.lineitem AS l
GROUP BY l.l_shipdate, l.l_returnflag, l.l_shipmode
