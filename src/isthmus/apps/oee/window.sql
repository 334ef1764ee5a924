-- Machine time in the window [$start, $end), cut wherever its meaning changes. Included by the
-- queries that need it, after the inputs `state_row` and `part_row` (see inputs.py).
-- All times here are integer microseconds UTC: exact, and blind to any session's time zone.

chosen AS (
    SELECT machine, site, area, line, type, ideal_cycle_s, minor_stop_s, slow_factor
    FROM machine WHERE machine IN (SELECT unnest($machines::VARCHAR[]))
),

-- What was planned and which order ran, clipped to the window ------------------------------------
in_shift AS (
    SELECT machine, shift, CAST("day" AS DATE) AS shift_day,
        epoch_us("start") AS s, epoch_us("end") AS e
    FROM shift
    WHERE machine IN (SELECT machine FROM chosen)
        AND "start" < make_timestamptz($end::BIGINT) AND "end" > make_timestamptz($start::BIGINT)
),
in_down AS (
    SELECT machine, greatest(epoch_us("start"), $start) AS s, least(epoch_us("end"), $end) AS e
    FROM planned_down
    WHERE machine IN (SELECT machine FROM chosen)
        AND "start" < make_timestamptz($end::BIGINT) AND "end" > make_timestamptz($start::BIGINT)
),
-- Planned stops may overlap (a break inside maintenance): only their union counts.
down_island AS (
    SELECT machine, s, e,
        s > max(e) OVER (PARTITION BY machine ORDER BY s, e
                         ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS apart
    FROM in_down
),
down_group AS (
    SELECT machine, s, e,
        count(*) FILTER (WHERE apart) OVER (PARTITION BY machine ORDER BY s, e
                         ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS island
    FROM down_island
),
down AS (SELECT machine, min(s) AS s, max(e) AS e FROM down_group GROUP BY machine, island),
in_order AS (
    SELECT machine, production_order, operation, material, ideal_cycle_s,
        epoch_us("start") AS s, coalesce(epoch_us("end"), $end) AS e
    FROM order_run
    WHERE machine IN (SELECT machine FROM chosen)
        AND "start" < make_timestamptz($end::BIGINT)
        AND ("end" IS NULL OR "end" >= make_timestamptz($start::BIGINT))
),

-- Segments: between two cuts, hour, shift, plan and order are the same -----------------------------
cut AS (
    SELECT machine, unnest([s, e]) AS t FROM in_shift
    UNION ALL SELECT machine, unnest([s, e]) FROM down
    UNION ALL SELECT machine, unnest([s, e]) FROM in_order
    UNION ALL SELECT machine, unnest(range($start - $start % 3600000000, $end, 3600000000)) FROM chosen
    UNION ALL SELECT machine, $start FROM chosen
),
bound AS (SELECT DISTINCT machine, t FROM cut WHERE t >= $start AND t < $end),
-- A part is counted when it is finished: one counted at the very moment its order ended was made for
-- that order, not for the one that begins there. Such a moment is a segment of its own, without time.
span AS (
    SELECT machine, t AS s, lead(t, 1, $end) OVER (PARTITION BY machine ORDER BY t) AS e, t AS ordered_at
    FROM bound
    UNION ALL
    SELECT machine, e, e, e - 1 FROM in_order
    SEMI JOIN part_row ON in_order.machine = part_row.machine AND in_order.e = part_row.t
    WHERE e >= $start AND e < $end
),
segment AS (
    SELECT row_number() OVER () AS segment, span.machine, span.s, span.e,
        CASE WHEN span.s < w.e THEN w.shift END AS shift,
        CASE WHEN span.s < w.e THEN w.shift_day END AS shift_day,
        coalesce(span.s < w.e, false) AS planned,
        coalesce(span.s < w.e, false) AND NOT coalesce(span.s < d.e, false) AS busy,
        coalesce(span.ordered_at < o.e, false) AS ordered,
        CASE WHEN span.ordered_at < o.e THEN o.production_order END AS production_order,
        CASE WHEN span.ordered_at < o.e THEN o.operation END AS operation,
        CASE WHEN span.ordered_at < o.e THEN o.material END AS material,
        CASE WHEN span.ordered_at < o.e THEN o.ideal_cycle_s END AS order_cycle_s
    FROM span
    ASOF LEFT JOIN in_shift AS w ON span.machine = w.machine AND span.s >= w.s
    ASOF LEFT JOIN down AS d ON span.machine = d.machine AND span.s >= d.s
    ASOF LEFT JOIN in_order AS o ON span.machine = o.machine AND span.ordered_at >= o.s
),

-- Planned run time per item (PRI): the order's own, else the material's in the model (for this type of
-- machine before for all), else the material's in the ERP, else the machine's.
declared AS (
    SELECT unnest($material_keys::VARCHAR[]) AS material, unnest($material_types::VARCHAR[]) AS type,
        unnest($material_cycles::DOUBLE[]) AS ideal_cycle_s
),
from_erp AS (
    SELECT key AS material, arg_max(ideal_cycle_s, recorded) AS ideal_cycle_s
    FROM material WHERE ideal_cycle_s IS NOT NULL GROUP BY key
),
pace AS (
    SELECT segment, coalesce(order_cycle_s, own.ideal_cycle_s, every.ideal_cycle_s,
        from_erp.ideal_cycle_s, chosen.ideal_cycle_s) AS pri
    FROM segment
    JOIN chosen ON segment.machine = chosen.machine
    LEFT JOIN declared AS own ON segment.material = own.material AND chosen.type = own.type
    LEFT JOIN declared AS every ON segment.material = every.material AND every.type = ''
    LEFT JOIN from_erp ON segment.material = from_erp.material
),

-- State changes; the empty category is "unknown" -----------------------------------------------------
event AS (
    SELECT unnest($held_machines::VARCHAR[]) AS machine, $start AS t,
        unnest($held_states::VARCHAR[]) AS state, unnest($held_since::BIGINT[]) AS began,
        false AS starts, NULL::TIMESTAMPTZ AS received
    UNION ALL
    SELECT machine, t, state, t, true, received FROM state_row
    WHERE state IS NOT NULL OR quality = 2
),
-- A state nobody gave a category is neither production nor setup: it is idle.
known AS (
    SELECT machine, t, coalesce(event.state, '') AS state, began, starts, received,
        CASE WHEN event.state IS NOT NULL THEN coalesce(category, 'idle') ELSE '' END AS category
    FROM event LEFT JOIN state_category ON event.state = state_category.state
),
-- A cut is put among the changes, so that every stretch between two marks has one state and one
-- segment. At the same moment the cut comes first, then what was received last holds.
mark AS (
    SELECT machine, t, category, state, began, starts, received, NULL::BIGINT AS segment FROM known
    UNION ALL
    SELECT machine, s, NULL, NULL, NULL, false, NULL, segment FROM segment WHERE s < e
),
