-- What was sold each day and where. Sums need all of their rows, so a run computes the whole table again: without
-- `@write`, a query with GROUP BY is `overwrite`.
--
-- @description: Orders, units and revenue by day and country
-- @tags: mart, revenue
-- @sort: order_date, region, country
-- @not_null: order_date, country
-- @assert: revenue >= 0
SELECT
    o.order_date,                                                               -- Day of the order
    o.region,                                                                   -- Part of the world
    o.country,                                                                  -- Country of the customer
    COUNT(DISTINCT o.order_id) AS order_count,                                  -- Orders with at least one line
    COUNT(*) AS line_count,                                                     -- Lines
    CAST(SUM(l.quantity) AS BIGINT) AS units,                                   -- Units
    CAST(SUM(l.revenue) AS DECIMAL(18, 2)) AS revenue,                          -- Revenue after discount
    CAST(COUNT(*) FILTER (WHERE l.is_late) AS DOUBLE) / COUNT(*) AS late_share  -- Share of lines shipped late
FROM sales.lines_daily AS l
INNER JOIN sales.orders_clean AS o ON l.order_id = o.order_id
GROUP BY o.order_date, o.region, o.country
