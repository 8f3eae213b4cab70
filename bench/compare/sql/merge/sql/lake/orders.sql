-- @description: Orders as they last were, by month
-- @write: merge
-- @key: o_orderkey
-- @latest_by: changed_at
-- @partition: month
SELECT
    c.*,
    CAST(DATE_TRUNC('month', c.o_orderdate) AS DATE) AS month
FROM raw.order_changes AS c
