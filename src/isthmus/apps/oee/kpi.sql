-- Key performance indicators of ISO 22400-2:2014 as ratios of sums; one row per group of `sums`.
-- Elements: PBT planned busy, APT production, AUST setup, ADET delay, ADOT down, AOET order execution time,
-- PRI planned run time per item, PQ produced, GQ good, SQ scrap, RQ rework. Undefined is NULL, never 0 or 1;
-- ratios above 1 stay as they are. Sum first, divide last: percentages are never averaged.
WITH base AS (
    SELECT *,
        -- OEE is divided by the base of the time model, which is also that of availability.
        CASE $time_model
            WHEN 'iso22400' THEN pbt_s                              -- planned busy time (also TPM's loading time)
            WHEN 'tpm' THEN pbt_s                                   -- the same; minor stops count as lost speed
            WHEN 'setup_planned' THEN pbt_s - aust_s                -- setup is planned and no loss
            WHEN 'semi_e79' THEN calendar_s                         -- SEMI E79: all the time there is
        END AS base_s,
        CASE $time_model
            WHEN 'tpm' THEN apt_s + minor_stop_s                    -- six big losses: minor stops lower performance
            ELSE apt_s
        END AS run_s,
        apt_s + aust_s AS aupt_s,                                   -- AUPT, actual unit processing time
        apt_s + aust_s + adet_s AS aubt_s                           -- AUBT, actual unit busy time
    FROM sums
)
SELECT *,
    run_s / nullif(base_s, 0)                                       AS availability,            -- APT / PBT
    ideal_s / nullif(run_s, 0)                                      AS effectiveness,           -- PRI × PQ / APT
    -- Weighted by ideal time, so that availability × effectiveness × quality = PRI × GQ / PBT with many products;
    -- without an ideal cycle it is the plain GQ / PQ.
    CASE WHEN ideal_s IS NULL THEN good / nullif(produced, 0)
         ELSE ideal_good_s / nullif(ideal_s, 0) END                 AS quality_ratio,           -- GQ / PQ
    ideal_good_s / nullif(base_s, 0)                                AS oee,                     -- PRI × GQ / PBT
    aupt_s / nullif(pbt_s, 0) * ideal_good_s / nullif(apt_s, 0)     AS nee,                     -- AUPT / PBT × effectiveness × quality
    1 - unknown_s / nullif(pbt_s, 0)                                AS coverage,                -- share of PBT in which the state was known
    aubt_s / nullif(pbt_s, 0)                                       AS allocation_efficiency,   -- AUBT / PBT
    apt_s / nullif(aubt_s, 0)                                       AS utilization_efficiency,  -- APT / AUBT
    apt_s / nullif(apt_s + adet_s, 0)                               AS technical_efficiency,    -- APT / (APT + ADET)
    aust_s / nullif(aupt_s, 0)                                      AS setup_ratio,             -- AUST / AUPT
    aubt_s / nullif(aoet_s, 0)                                      AS allocation_ratio,        -- AUBT / AOET
    apt_s / nullif(aoet_s, 0)                                       AS production_process_ratio,-- APT / AOET
    3600 * produced / nullif(aoet_s, 0)                             AS throughput_per_hour,     -- PQ / AOET
    good / nullif(produced, 0)                                      AS quality_ratio_by_count,  -- GQ / PQ, the other convention
    scrap / nullif(produced, 0)                                     AS scrap_ratio,             -- SQ / PQ
    rework / nullif(produced, 0)                                    AS rework_ratio,            -- RQ / PQ
    scrap / nullif(planned_scrap, 0)                                AS actual_to_planned_scrap_ratio, -- SQ / PSQ
    good_at_first / nullif(inspected, 0)                            AS first_pass_yield,        -- GP / IP
    work_s / nullif(attendance_s, 0)                                AS worker_efficiency,       -- APWT / APAT
    corrective_s / nullif(corrective_s + preventive_s, 0)           AS corrective_maintenance_ratio, -- CMT / (CMT + PMT)
    operating_s / nullif(failures, 0)                               AS mtbf_s,                  -- mean of TBF; divided by FE, not FE + 1
    repair_s / nullif(failures, 0)                                  AS mttr_s,                  -- mean of TTR
    operating_s / nullif(operating_s + repair_s, 0)                 AS inherent_availability,   -- MTBF / (MTBF + MTTR)
    pbt_s / nullif(calendar_s, 0)                                   AS loading,                 -- PBT / calendar time
    ideal_good_s / nullif(pbt_s + planned_down_s, 0)                AS ooe,                     -- PRI × GQ / (PBT + planned down)
    ideal_good_s / nullif(calendar_s, 0)                            AS teep                     -- OEE × loading
FROM base
