-- The table that the job `merge` changes, as the other engines find it. unglue makes its own with sql/merge.
--
-- @description: Orders by month
-- @partition: month
SELECT
    c.*,
    CAST(DATE_TRUNC('month', c.o_orderdate) AS DATE) AS month
FROM raw.order_changes AS c
