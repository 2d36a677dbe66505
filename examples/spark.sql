-- Spark SQL: how long tickets take, from submission to decision, over the Parquet files.
--
--   twinlock export parquet history/
--   spark-sql -f examples/spark.sql
--
-- prints one row a month, such as
--
--   2026-03  12  approved 10  rejected 2  median hours 3.5

SET spark.sql.session.timeZone = UTC;
CREATE OR REPLACE TEMPORARY VIEW events USING parquet OPTIONS (path 'history');

WITH tickets AS (
    SELECT
        stream,
        min(CASE WHEN type = 'ticket.submitted' THEN time END) AS submitted_at,
        min(CASE WHEN type IN ('ticket.approved', 'ticket.rejected') THEN time END) AS decided_at,
        max(type = 'ticket.approved') AS approved
    FROM events
    WHERE type LIKE 'ticket.%'
    GROUP BY stream
)
SELECT
    date_format(submitted_at, 'yyyy-MM') AS month,
    count(*) AS decided,
    count_if(approved) AS approved,
    count_if(NOT approved) AS rejected,
    round(percentile((unix_timestamp(decided_at) - unix_timestamp(submitted_at)) / 3600, 0.5), 1)
        AS median_hours
FROM tickets
WHERE decided_at IS NOT NULL
GROUP BY month
ORDER BY month;
