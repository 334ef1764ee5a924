-- The state each machine was in at the end of the window, and since when; a change at the same
-- moment that was received later wins. `settled` says that the beginning was seen: before it, in
-- the window, the machine did something else.
row AS (
    SELECT machine, t, received, coalesce(state_row.state, '') AS state,
        CASE WHEN state_row.state IS NULL THEN ''
             WHEN category IN ('production', 'setup', 'idle') THEN category
             WHEN category IS NULL THEN 'idle' ELSE 'stopped' END AS activity
    FROM state_row LEFT JOIN state_category ON state_row.state = state_category.state
    WHERE state_row.state IS NOT NULL OR quality = 2
),
latest AS (
    SELECT machine, arg_max(state, (t, received, state)) AS state,
        arg_max(activity, (t, received, state)) AS activity
    FROM row GROUP BY machine
),
other AS (
    SELECT machine, max(t) AS t
    FROM row JOIN latest USING (machine) WHERE row.activity <> latest.activity GROUP BY machine
)
SELECT machine, nullif(latest.state, '') AS state,
    min(row.t) FILTER (WHERE row.t > coalesce(other.t, -1)) AS since,
    bool_or(other.t IS NOT NULL) AS settled
FROM row JOIN latest USING (machine) LEFT JOIN other USING (machine)
GROUP BY machine, latest.state
