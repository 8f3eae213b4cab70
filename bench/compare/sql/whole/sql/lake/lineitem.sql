-- @description: Lines in one table without partitions, with what the customer pays
-- @write: append
SELECT
    l.*,
    CAST(l.l_extendedprice * (1 - l.l_discount) * (1 + l.l_tax) AS DECIMAL(18, 6)) AS charge
FROM raw.lineitem AS l
