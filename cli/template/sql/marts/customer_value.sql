-- @description: What each customer has bought so far
SELECT
    c.customer_id,                              -- Customer number
    c.name,                                     -- Full name
    COUNT(o.order_id) AS orders,                -- Paid orders
    COALESCE(SUM(o.amount), 0) AS revenue       -- In euros
FROM raw.customers AS c
LEFT JOIN sales.orders AS o ON o.customer_id = c.customer_id AND o.status = 'paid'
GROUP BY c.customer_id, c.name
