-- Sums per machine × hour × shift × order (ISO 22400-2 elements); see docs/concepts/oee.md.
piece AS (
    SELECT machine,
        lead(t, 1, $end) OVER held - t AS us,
        last_value(segment IGNORE NULLS) OVER held AS segment,
        last_value(category IGNORE NULLS) OVER held AS category,
        starts AND category = 'stopped'
            AND last_value(category IGNORE NULLS) OVER (held ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
                IS DISTINCT FROM 'stopped' AS breaks
    FROM mark
    WINDOW held AS (PARTITION BY machine ORDER BY t, segment NULLS LAST, starts, received, state)
),
seconds AS (
    SELECT segment,
        sum(us) AS total,
        sum(us) FILTER (WHERE category = 'production') AS production,
        sum(us) FILTER (WHERE category = 'setup') AS setup,
        sum(us) FILTER (WHERE category = 'stopped') AS stopped,
        sum(us) FILTER (WHERE coalesce(category, '') = '') AS unknown,
        count(*) FILTER (WHERE breaks) AS breaks
    FROM piece WHERE us > 0
    GROUP BY segment
),
made AS (
    SELECT coalesce(last_moment.segment, segment.segment) AS segment,
        sum(produced) AS produced, sum(good) AS good, sum(scrap) AS scrap, sum(rework) AS rework
    FROM part_row
    ASOF JOIN (FROM segment WHERE s < e) AS segment
        ON part_row.machine = segment.machine AND part_row.t >= segment.s
    LEFT JOIN (FROM segment WHERE s = e) AS last_moment
        ON part_row.machine = last_moment.machine AND part_row.t = last_moment.s
    GROUP BY ALL
),
-- What a machine does not count is unknown (NULL); what it counts and did not make is 0.
counter AS (
    SELECT unnest($machines::VARCHAR[]) AS machine, unnest($counts_produced::BOOLEAN[]) AS produced,
        unnest($counts_good::BOOLEAN[]) AS good, unnest($counts_scrap::BOOLEAN[]) AS scrap
),
counted AS (
    SELECT segment,
        CASE WHEN counter.produced THEN coalesce(made.produced, 0) END AS produced,
        CASE WHEN counter.good THEN coalesce(made.good, 0) END AS good,
        CASE WHEN counter.scrap THEN coalesce(made.scrap, 0) END AS scrap,
        coalesce(made.rework, 0) AS rework
    FROM segment
    JOIN counter ON segment.machine = counter.machine
    LEFT JOIN made USING (segment)
),
parts AS (
    SELECT segment, scrap, rework,
        coalesce(produced, good + scrap + rework) AS produced,
        coalesce(good, produced - scrap - rework) AS good
    FROM counted
),
-- Planned stops win over what the machine did; what is neither production nor setup is delay (ADET)
-- with an order and down time (ADOT) without one (OPC 40001-1 annex C.2, table 68).
element AS (
    SELECT segment.*,
        if(planned, coalesce(total, 0), 0) / 1e6 AS pot_s,
        if(busy, coalesce(total, 0), 0) / 1e6 AS pbt_s,
        if(planned AND NOT busy, coalesce(total, 0), 0) / 1e6 AS planned_down_s,
        if(ordered, coalesce(total, 0), 0) / 1e6 AS aoet_s,
        if(busy, coalesce(production, 0), 0) / 1e6 AS apt_s,
        if(busy, coalesce(setup, 0), 0) / 1e6 AS aust_s,
        if(busy, coalesce(unknown, 0), 0) / 1e6 AS unknown_s,
        if(busy AND ordered, coalesce(stopped, 0), 0) / 1e6 AS repair_s,
        if(busy AND ordered, coalesce(breaks, 0), 0) AS failures,
        if(busy, coalesce(total, 0) - coalesce(production, 0) - coalesce(setup, 0) - coalesce(unknown, 0), 0) / 1e6 AS rest_s,
        produced, good, scrap, rework, pri,
        -- Nothing made costs no ideal time, whatever the ideal cycle; something made without a known one is unknown.
        CASE WHEN produced = 0 THEN 0 ELSE pri * produced END AS ideal_s,
        CASE WHEN good = 0 THEN 0 ELSE pri * good END AS ideal_good_s
    FROM segment
    LEFT JOIN seconds USING (segment)
    JOIN parts USING (segment)
    JOIN pace USING (segment)
)
SELECT machine, site, area, line,
    make_timestamptz(s - s % 3600000000) AS hour,
    make_timestamptz(min(s)) AS "start", make_timestamptz(max(e)) AS "end",
    shift, shift_day, production_order, operation, material,
    sum(pot_s) AS pot_s, sum(pbt_s) AS pbt_s, sum(apt_s) AS apt_s, sum(aust_s) AS aust_s,
    sum(if(ordered, rest_s, 0)) AS adet_s, sum(if(ordered, 0, rest_s)) AS adot_s,
    sum(unknown_s) AS unknown_s, sum(planned_down_s) AS planned_down_s, sum(aoet_s) AS aoet_s,
    CAST(sum(produced) AS BIGINT) AS produced, CAST(sum(good) AS BIGINT) AS good,
    CAST(sum(scrap) AS BIGINT) AS scrap, CAST(sum(rework) AS BIGINT) AS rework,
    CASE WHEN bool_and(ideal_s IS NOT NULL) THEN sum(ideal_s) END AS ideal_s,
    CASE WHEN bool_and(ideal_good_s IS NOT NULL) THEN sum(ideal_good_s) END AS ideal_good_s,
    CAST(sum(failures) AS BIGINT) AS failures, sum(repair_s) AS repair_s, sum(apt_s) AS operating_s,
    CASE WHEN bool_and(pbt_s = 0 OR pri > 0) THEN sum(if(pbt_s = 0, 0, pbt_s / pri)) END AS target
FROM element JOIN chosen USING (machine)
GROUP BY machine, site, area, line, s - s % 3600000000,
    shift, shift_day, production_order, operation, material
HAVING sum(pot_s) > 0 OR sum(aoet_s) > 0 OR sum(produced) <> 0 OR sum(good) <> 0 OR sum(scrap) <> 0 OR sum(rework) <> 0
ORDER BY machine, hour, "start"
