-- Orders as the shop exports them, made fit for use: spelling mended, and the customer's name, segment and country
-- at hand. A customer who moves later keeps the old country on old orders, because rows once written stay.
--
-- @description: One row per order, cleaned, with the customer's segment and country
-- @tags: sales, orders
-- @write: append
-- @partition: order_date
-- @sort: customer_id, order_id
-- @not_null: order_id, order_date
-- @assert: status IN ('open', 'filled', 'partial')
-- @assert: total_price >= 0
-- @bloom_filter: order_id
SELECT
    o.order_id,                                                           -- Order number
    o.customer_id,                                                        -- Customer number; NULL if not known
    COALESCE(c.name, 'unknown') AS customer,                              -- Customer's name
    COALESCE(NULLIF(LOWER(TRIM(c.segment)), ''), 'unknown') AS segment,   -- Market segment, lower-case
    COALESCE(n.country, 'unknown') AS country,                            -- Country of the customer
    COALESCE(n.region, 'unknown') AS region,                              -- Part of the world
    LOWER(TRIM(o.status)) AS status,                                      -- open, filled or partial
    CAST(o.total_price AS DECIMAL(12, 2)) AS total_price,                 -- Price of all lines, taxed
    CAST(NULLIF(SPLIT_PART(o.priority, '-', 1), '') AS INT) AS priority,  -- 1 (urgent) to 5 (low)
    TRIM(o.clerk) AS clerk,                                               -- Who took the order
    NULLIF(TRIM(o.comment), '') AS remark,                                -- Free text
    CAST(o.ordered_at AS TIMESTAMP) AS ordered_at,                        -- When the order was placed
    CAST(o.ordered_at AS DATE) AS order_date                              -- Day of the order
FROM raw.orders AS o
LEFT JOIN raw.customers AS c ON o.customer_id = c.customer_id
LEFT JOIN raw.countries AS n ON c.country_id = n.country_id
