-- What holds of everything that was ever recorded. `X_history` are all versions, `X` the valid ones.
-- Times of validity and of recording are apart: see docs/concepts/context.md.

-- view material
SELECT * FROM material_history
QUALIFY row_number() OVER (PARTITION BY system, key ORDER BY recorded DESC, _seq DESC) = 1 AND withdrawn IS NOT TRUE

-- view production_order
SELECT * FROM production_order_history
QUALIFY row_number() OVER (PARTITION BY system, key ORDER BY recorded DESC, _seq DESC) = 1 AND withdrawn IS NOT TRUE

-- view operation
SELECT * FROM operation_history
QUALIFY row_number() OVER (PARTITION BY system, key ORDER BY recorded DESC, _seq DESC) = 1 AND withdrawn IS NOT TRUE

-- view stop_reason
SELECT * FROM stop_reason_history
QUALIFY row_number() OVER (PARTITION BY id ORDER BY recorded DESC, _seq DESC) = 1 AND withdrawn IS NOT TRUE

-- view withdrawn_order
SELECT system, key FROM production_order_history
QUALIFY row_number() OVER (PARTITION BY system, key ORDER BY recorded DESC, _seq DESC) = 1 AND withdrawn

-- view order_run
-- Which order a machine worked on. It works on one at a time, so a later start ends an earlier run; a
-- run that nobody ended lasts ("end" is null). Operations of a withdrawn order are withdrawn with it;
-- those of an order that has not arrived yet count, because it may arrive after them.
WITH started AS (
    SELECT operation.machine, operation.actual_start AS "start", operation.actual_end AS finished,
        operation.production_order, operation.operation,
        coalesce(operation.material, production_order.material) AS material,
        coalesce(operation.quantity, production_order.quantity) AS quantity,
        operation.ideal_cycle_s, operation.system, operation.key
    FROM operation
    LEFT JOIN production_order
        ON operation.system = production_order.system AND operation.production_order = production_order.key
    ANTI JOIN withdrawn_order
        ON operation.system = withdrawn_order.system AND operation.production_order = withdrawn_order.key
    WHERE operation.machine IS NOT NULL AND operation.actual_start IS NOT NULL
        AND (operation.actual_end IS NULL OR operation.actual_end > operation.actual_start)
),
run AS (
    SELECT *, least(finished, lead("start") OVER (
        PARTITION BY machine ORDER BY "start", system, key)) AS "end"
    FROM started
)
SELECT machine, "start", "end", production_order, operation, material, quantity, ideal_cycle_s
FROM run
WHERE "end" IS NULL OR "end" > "start"

-- view unresolved
-- Operations that name a production order nobody has delivered: it is late, or the name is wrong.
SELECT operation.system, operation.key, operation.production_order, operation.recorded
FROM operation
ANTI JOIN production_order_history
    ON operation.system = production_order_history.system
    AND operation.production_order = production_order_history.key
