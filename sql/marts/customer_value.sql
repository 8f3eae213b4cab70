-- Who the best customers are. Orders of unknown customers are left out.
--
-- @description: What each customer has ordered so far, ranked within the country
-- @tags: mart, customers
-- @write: overwrite
-- @partition: region
-- @sort: country, rank_in_country, customer_id
-- @not_null: customer_id
WITH totals AS (
    SELECT
        o.customer_id,
        o.customer,
        o.segment,
        o.country,
        o.region,
        COUNT(*) AS order_count,
        CAST(SUM(o.total_price) AS DECIMAL(18, 2)) AS spent,
        MIN(o.order_date) AS first_order_on,
        MAX(o.order_date) AS last_order_on
    FROM sales.orders_clean AS o
    WHERE o.customer_id IS NOT NULL AND o.country <> 'unknown'
    GROUP BY o.customer_id, o.customer, o.segment, o.country, o.region
)

SELECT
    t.customer_id,                                          -- Customer number
    t.customer,                                             -- Name
    t.segment,                                              -- Market segment
    t.country,                                              -- Country
    t.region,                                               -- Part of the world
    t.order_count,                                          -- Orders
    t.spent,                                                -- Sum of the orders' prices
    CAST(t.spent AS DOUBLE) / t.order_count AS mean_order,  -- Mean price of an order
    t.first_order_on,                                       -- Day of the first order
    t.last_order_on,                                        -- Day of the latest order
    CAST(
        RANK() OVER (PARTITION BY t.country ORDER BY t.spent DESC) AS INT
    ) AS rank_in_country                                    -- 1 is the best
FROM totals AS t
