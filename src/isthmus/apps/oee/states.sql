-- What every machine did, as people see it; `fragment` tiles the window. Follows window.sql.
-- A stretch is unbroken time with one activity: stopping, stopped and aborted are one stop.
piece AS (
    SELECT machine, t AS s, lead(t, 1, $end) OVER held AS e,
        last_value(segment IGNORE NULLS) OVER held AS segment,
        coalesce(last_value(category IGNORE NULLS) OVER held, '') AS category,
        coalesce(last_value(state IGNORE NULLS) OVER held, '') AS state,
        coalesce(last_value(began IGNORE NULLS) OVER held, t) AS began
    FROM mark
    WINDOW held AS (PARTITION BY machine ORDER BY t, segment NULLS LAST, starts, received, state)
),
active AS (
    SELECT *, CASE WHEN category IN ('production', 'setup', 'idle', '') THEN category
                   ELSE 'stopped' END AS activity
    FROM piece WHERE e > s
),
changing AS (
    SELECT *, activity IS DISTINCT FROM lag(activity) OVER (PARTITION BY machine ORDER BY s) AS fresh
    FROM active
),
numbered AS (
    SELECT *, count(*) FILTER (WHERE fresh) OVER (PARTITION BY machine ORDER BY s) AS stretch
    FROM changing
),
stretched AS (
    SELECT numbered.*,
        row_number() OVER () AS piece,
        min(least(began, s)) OVER (PARTITION BY machine, stretch) AS stretch_s,
        max(e) OVER (PARTITION BY machine, stretch) AS stretch_e
    FROM numbered
),

-- Slow: producing, but since the part before (or since production began) longer than allowed -------
part AS (
    SELECT machine, t, greatest(1, sum(coalesce(produced, good + coalesce(scrap, 0), good, scrap))) AS n
    FROM part_row GROUP BY machine, t
    HAVING sum(coalesce(produced, 0) + coalesce(good, 0) + coalesce(scrap, 0)) > 0
),
-- The end of production counts as a beat, so that running without any part is slow as well.
beat AS (
    SELECT machine, t, n FROM part
    UNION ALL
    SELECT DISTINCT machine, stretch_e, 1 FROM stretched WHERE activity = 'production'
),
interval AS (
    SELECT beat.machine, beat.t AS e, beat.n, stretched.segment,
        greatest(stretched.stretch_s, $start,
            lag(beat.t, 1, 0) OVER (PARTITION BY beat.machine ORDER BY beat.t, beat.n)) AS s
    FROM beat ASOF JOIN stretched ON beat.machine = stretched.machine AND beat.t > stretched.s
    WHERE activity = 'production'
),
slow AS (
    SELECT interval.machine, interval.s, interval.e
    FROM interval JOIN pace USING (segment) JOIN chosen ON interval.machine = chosen.machine
    WHERE (interval.e - interval.s) / interval.n > pri * slow_factor * 1e6
),

-- Reasons; one without an end lasts as long as the stop it was given for --------------------------
given AS (
    SELECT machine, reason, epoch_us("start") AS s, epoch_us("end") AS e
    FROM stop_reason
    WHERE machine IN (SELECT machine FROM chosen)
        AND "start" < make_timestamptz($end::BIGINT)
        AND ("end" IS NULL OR "end" > make_timestamptz($start::BIGINT))
),
reasoned AS (
    SELECT given.machine, given.reason, greatest(given.s, $start) AS s,
        coalesce(given.e, stretched.stretch_e) AS e
    FROM given ASOF JOIN stretched
        ON given.machine = stretched.machine AND greatest(given.s, $start) >= stretched.s
    WHERE given.e IS NOT NULL OR given.s >= stretched.stretch_s
),

-- Cut once more where a reason or slow running begins or ends -----------------------------------
note AS (
    SELECT machine, s AS t, 1 AS turn, piece, NULL AS reason, NULL::BOOLEAN AS slow FROM stretched
    UNION ALL SELECT machine, e, 0, NULL, '', NULL FROM reasoned
    UNION ALL SELECT machine, s, 1, NULL, reason, NULL FROM reasoned
    UNION ALL SELECT machine, e, 0, NULL, NULL, false FROM slow
    UNION ALL SELECT machine, s, 1, NULL, NULL, true FROM slow
),
fine AS (
    SELECT machine, t AS s, lead(t, 1, $end) OVER noted AS e,
        last_value(piece IGNORE NULLS) OVER noted AS piece,
        coalesce(last_value(reason IGNORE NULLS) OVER noted, '') AS reason,
        coalesce(last_value(slow IGNORE NULLS) OVER noted, false) AS slow
    FROM note
    WINDOW noted AS (PARTITION BY machine ORDER BY t, turn, piece NULLS LAST)
),
reason_kind AS (
    SELECT unnest($reasons::VARCHAR[]) AS reason, unnest($reason_categories::VARCHAR[]) AS reason_category
),
fragment AS (
    SELECT fine.machine, fine.s, least(fine.e, $until) AS e, stretched.state, stretched.category, activity,
        stretch_s, stretch_e, stretch_e < $end AS ended, stretch_e - stretch_s <= minor_stop_s * 1e6 AS minor,
        busy, shift, shift_day, production_order, operation, material,
        CASE WHEN activity IN ('idle', 'stopped') THEN fine.reason ELSE '' END AS given_reason,
        coalesce(reason_category, 'other') AS reason_category,
        fine.slow
    FROM fine
    JOIN stretched USING (piece)
    JOIN segment ON stretched.segment = segment.segment
    JOIN (SELECT unnest($machines::VARCHAR[]) AS machine, unnest($minor_stops::DOUBLE[]) AS minor_stop_s) AS own
        ON fine.machine = own.machine
    LEFT JOIN reason_kind ON fine.reason = reason_kind.reason
    WHERE fine.s < least(fine.e, $until)
),
state_interval AS (
    SELECT *,
        CASE WHEN activity = 'production' THEN if(slow, 'slow', 'running')
             WHEN NOT busy THEN 'planned'
             WHEN activity = '' THEN 'offline'
             WHEN activity IN ('setup', 'idle') THEN activity
             WHEN given_reason = '' AND NOT minor AND category <> 'maintenance' THEN 'unclassified'
             ELSE 'stopped' END AS kind,
        -- Where its seconds are lost; NULL outside planned busy time.
        CASE WHEN NOT busy THEN NULL
             WHEN activity = 'production' THEN 'operating'
             WHEN activity = '' THEN 'unknown'
             WHEN activity = 'setup' THEN 'setup'
             WHEN given_reason <> '' THEN
                 CASE WHEN reason_category IN ('setup', 'waiting') THEN reason_category ELSE 'breakdowns' END
             WHEN minor THEN 'minor_stops'
             WHEN activity = 'idle' THEN 'waiting'
             WHEN category = 'maintenance' THEN 'breakdowns'
             ELSE 'unclassified' END AS loss
    FROM fragment
)
