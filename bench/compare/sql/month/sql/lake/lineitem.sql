-- @description: Lines by month of shipping, with what the customer pays
-- @write: append
-- @partition: month
SELECT
    l.*,
    CAST(l.l_extendedprice * (1 - l.l_discount) * (1 + l.l_tax) AS DECIMAL(18, 6)) AS charge,
    CAST(DATE_TRUNC('month', l.l_shipdate) AS DATE) AS month
FROM raw.lineitem AS l
