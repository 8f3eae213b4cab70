-- One row per order, cleaned, with the customer's segment and country.
-- Only new files are read: filters and lookups may be applied to each file by itself.
-- @description: Orders, cleaned and enriched
-- @partition: order_date
-- @sort: customer_id
-- @not_null: order_id
-- @assert: amount >= 0
SELECT
    o.order_id,                                 -- Order number
    o.customer_id,                              -- NULL for guests
    c.segment,                                  -- retail or wholesale
    c.country,                                  -- ISO 3166 code
    LOWER(o.status) AS status,                  -- open, paid or refunded
    CAST(o.amount AS DECIMAL(12, 2)) AS amount, -- In euros
    o.ordered_at,
    CAST(o.ordered_at AS DATE) AS order_date    -- Day of the order
FROM raw.orders AS o
LEFT JOIN raw.customers AS c ON c.customer_id = o.customer_id
