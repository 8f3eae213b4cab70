-- @description: Orders with their lines nested, by day
-- @write: append
-- @partition: day
-- @max_partitions: 3000
SELECT
    o.order_id,
    o.customer_id,
    o.status,
    o.total,
    o.priority,
    o.clerk,
    o.comment,
    o.lines,
    CAST(CARDINALITY(o.lines) AS INT) AS line_count,
    CAST(o.ordered_on AS DATE) AS day
FROM raw.orders AS o
