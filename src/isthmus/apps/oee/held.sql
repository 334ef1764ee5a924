-- The last state change of each machine in the window; a change at the same moment that was
-- received later wins.
SELECT machine, arg_max({'state': state}, (t, received, state)).state AS state, max(t) AS since
FROM state_row
WHERE state IS NOT NULL OR quality = 2
GROUP BY machine
