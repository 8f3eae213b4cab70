-- Order lines from JSON, flattened and typed. A day's folder may hold lines of the day before, because some orders
-- arrive late; they go to the partition of the day on which they were ordered.
--
-- @description: One row per order line, priced and typed, by day of the order
-- @tags: sales, lines
-- @write: append
-- @driving: raw.order_lines
-- @partition: order_date
-- @sort: order_id, line_number
-- @not_null: order_id, line_number, order_date
-- @assert: discount BETWEEN 0 AND 1
-- @assert: revenue <= price
-- @dictionary: ship_mode, return_state
WITH typed AS (
    SELECT
        l.*,
        CAST(l.price AS DECIMAL(12, 2)) AS list_price,
        CAST(l.discount AS DECIMAL(4, 2)) AS discount_rate,
        CAST(l.shipping['promised_on'] AS DATE) AS promised_on,
        CAST(l.shipping['shipped_on'] AS DATE) AS shipped_on
    FROM raw.order_lines AS l
    WHERE l.quantity > 0
)

SELECT
    t.order_id,                                                               -- Order number
    CAST(t.line AS INT) AS line_number,                                       -- 1, 2, ... within the order
    t.part_id,                                                                -- What was ordered
    t.supplier_id,                                                            -- Who supplies it
    CAST(t.quantity AS INT) AS quantity,                                      -- Units
    t.list_price AS price,                                                    -- Price of the line before discount
    t.discount_rate AS discount,                                              -- 0.05 is 5 percent
    CAST(t.list_price * (1 - t.discount_rate) AS DECIMAL(12, 2)) AS revenue,  -- Price after discount, rounded to cents
    CASE t.return_flag
        WHEN 'R' THEN 'returned'
        WHEN 'A' THEN 'accepted'
        ELSE 'pending'
    END AS return_state,                                                      -- returned, accepted or pending
    LOWER(t.shipping['mode']) AS ship_mode,                                   -- How it travels
    t.promised_on,                                                            -- Day promised to the customer
    t.shipped_on,                                                             -- Day it left
    t.shipped_on > t.promised_on AS is_late,                                  -- Left after the promised day
    t.hubs,                                                                   -- Warehouses passed, in order
    COALESCE(ARRAY_HAS(t.tags, 'bulk'), FALSE) AS is_bulk,                    -- Labelled as bulk goods
    NULLIF(TRIM(t.note), '') AS note,                                         -- Free text
    t.dt AS arrived_on,                                                       -- Day the line arrived
    CAST(t.ordered_at AS DATE) AS order_date                                  -- Day of the order
FROM typed AS t
