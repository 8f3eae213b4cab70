-- @description: Lines by one of 20,000 groups of parts
-- @write: append
-- @partition: part_group
-- @max_partitions: 20000
SELECT
    l.*,
    l.l_partkey % 20000 AS part_group
FROM raw.lineitem AS l
