-- Flink SQL: refused codes a minute and workspace, straight from Kafka.
-- Needs the Kafka SQL connector; put your brokers in place of localhost:9092.
--
-- Prints a growing table such as
--
--   window_start            workspaceid  refused
--   2026-03-01 10:00:00.000 acme               4

CREATE TABLE events (
    id STRING,
    `type` STRING,
    `time` TIMESTAMP_LTZ(6),
    workspaceid STRING,
    -- What stands in for an unreadable event has no time, and falls out of every window.
    happened AS COALESCE(CAST(`time` AS TIMESTAMP_LTZ(3)), TO_TIMESTAMP_LTZ(0, 3)),
    WATERMARK FOR happened AS happened - INTERVAL '10' SECOND
) WITH (
    'connector' = 'kafka',
    'topic' = 'twinlock.events',
    'properties.bootstrap.servers' = 'localhost:9092',
    'properties.group.id' = 'refused-codes',
    'scan.startup.mode' = 'earliest-offset',
    'format' = 'json',
    'json.timestamp-format.standard' = 'ISO-8601',
    'json.ignore-parse-errors' = 'false'
);

-- A record may be repeated; its id is then the same, so ids are counted once.
SELECT window_start, workspaceid, COUNT(DISTINCT id) AS refused
FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(happened), INTERVAL '1' MINUTE))
WHERE `type` = 'twinlock.mfa.code_rejected.v1'
GROUP BY window_start, window_end, workspaceid;
