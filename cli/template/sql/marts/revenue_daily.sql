-- Revenue by day and segment. An aggregate needs all rows, so the table is rebuilt whenever `sales.orders` grows.
-- @description: Revenue by day and customer segment
SELECT
    order_date,                                 -- Day of the order
    COALESCE(segment, 'guest') AS segment,      -- Customer segment
    COUNT(*) AS orders,                         -- Paid orders
    SUM(amount) AS revenue                      -- In euros
FROM sales.orders
WHERE status = 'paid'
GROUP BY order_date, COALESCE(segment, 'guest')
