-- How many members of each workspace have a second factor, at the end of the history.
--
--   twinlock export parquet events.parquet
--   duckdb < examples/coverage.sql
--
-- prints one row a workspace:
--
--   workspace │ members │ bound │ percent
--   acme      │       3 │     2 │    66.7

WITH bindings AS (
    SELECT split_part(stream, '/', 2) AS member, max_by(type, position) = 'mfa.bound' AS bound
    FROM 'events.parquet'
    WHERE type IN ('mfa.bound', 'mfa.unbound', 'mfa.erased')
    GROUP BY member
),
memberships AS (
    SELECT
        data ->> '$.workspace_id' AS workspace,
        data ->> '$.member_id' AS member,
        max_by(type, position) <> 'workspace.member_removed' AS inside
    FROM 'events.parquet'
    WHERE type IN (
        'workspace.member_added', 'workspace.member_role_changed', 'workspace.member_removed'
    )
    GROUP BY ALL
)
SELECT
    workspace,
    count(*) AS members,
    count(*) FILTER (WHERE bound) AS bound,
    round(100.0 * count(*) FILTER (WHERE bound) / count(*), 1) AS percent
FROM memberships LEFT JOIN bindings USING (member)
WHERE inside
GROUP BY workspace
ORDER BY workspace;
