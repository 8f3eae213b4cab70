-- @description: Lines by day of shipping
-- @write: append
-- @partition: day
-- @max_partitions: 3000
SELECT
    l.*,
    l.l_shipdate AS day
FROM raw.lineitem AS l
