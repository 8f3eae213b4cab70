-- @description: Lines in few files
-- @write: overwrite
SELECT *
FROM raw.lineitem_small
