"""KPIs from sums: evaluates kpi.sql and names the cause of every KPI that is undefined."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import pyarrow as pa

from isthmus.apps.oee.inputs import sql_text
from isthmus.apps.oee.memory import ask

TimeModel = Literal["iso22400", "tpm", "setup_planned", "semi_e79"]
"""Which time OEE is divided by, and what counts as running; see docs/concepts/oee.md."""

TIME_MODELS: Final[tuple[TimeModel, ...]] = ("iso22400", "tpm", "setup_planned", "semi_e79")

SECONDS: Final = (
    "pbt_s", "apt_s", "aust_s", "adet_s", "adot_s", "unknown_s", "pot_s", "planned_down_s",
    "aoet_s", "calendar_s", "minor_stop_s", "operating_s", "repair_s", "work_s", "attendance_s",
    "corrective_s", "preventive_s", "ideal_s", "ideal_good_s",
)  # fmt: skip
COUNTS: Final = (
    "produced", "good", "scrap", "rework", "failures", "planned_scrap", "good_at_first",
    "inspected",
)  # fmt: skip
SUMS: Final = SECONDS + COUNTS
"""Columns a table of sums may have; one that is missing is unknown, not zero."""


@dataclass(frozen=True)
class Kpi:
    """When a KPI is undefined: a sum it needs is unknown, or its divisor is zero."""

    needs: tuple[str, ...]
    """Columns of kpi.sql that must be known, in the order in which to blame them."""
    zero: str
    """Code for "known, but the divisor is zero"."""
    ratio: bool = True
    """A share that should not exceed 1."""


KPIS: Final[Mapping[str, Kpi]] = {
    "availability": Kpi(("run_s", "base_s"), "no_planned_busy_time"),
    "effectiveness": Kpi(("ideal_s", "run_s"), "no_production_time"),
    "quality_ratio": Kpi(("produced", "good"), "no_parts"),
    "oee": Kpi(("ideal_good_s", "base_s"), "no_planned_busy_time"),
    "nee": Kpi(("ideal_good_s", "aupt_s", "pbt_s"), "no_production_time"),
    "coverage": Kpi(("unknown_s", "pbt_s"), "no_planned_busy_time"),
    "allocation_efficiency": Kpi(("aubt_s", "pbt_s"), "no_planned_busy_time"),
    "utilization_efficiency": Kpi(("aubt_s",), "no_busy_time"),
    "technical_efficiency": Kpi(("apt_s", "adet_s"), "no_busy_time"),
    "setup_ratio": Kpi(("aupt_s",), "no_processing_time"),
    "allocation_ratio": Kpi(("aubt_s", "aoet_s"), "no_order_time", ratio=False),
    "production_process_ratio": Kpi(("apt_s", "aoet_s"), "no_order_time", ratio=False),
    "throughput_per_hour": Kpi(("produced", "aoet_s"), "no_order_time", ratio=False),
    "quality_ratio_by_count": Kpi(("good", "produced"), "no_parts"),
    "scrap_ratio": Kpi(("scrap", "produced"), "no_parts"),
    "rework_ratio": Kpi(("rework", "produced"), "no_parts"),
    "actual_to_planned_scrap_ratio": Kpi(
        ("scrap", "planned_scrap"), "no_planned_scrap", ratio=False
    ),
    "first_pass_yield": Kpi(("good_at_first", "inspected"), "nothing_inspected"),
    "worker_efficiency": Kpi(("work_s", "attendance_s"), "no_attendance"),
    "corrective_maintenance_ratio": Kpi(("corrective_s", "preventive_s"), "no_maintenance"),
    "mtbf_s": Kpi(("operating_s", "failures"), "no_failures", ratio=False),
    "mttr_s": Kpi(("repair_s", "failures"), "no_failures", ratio=False),
    "inherent_availability": Kpi(("operating_s", "repair_s"), "no_production_time"),
    "loading": Kpi(("pbt_s", "calendar_s"), "no_calendar_time"),
    "ooe": Kpi(("ideal_good_s", "pbt_s", "planned_down_s"), "no_planned_busy_time"),
    "teep": Kpi(("ideal_good_s", "calendar_s"), "no_calendar_time"),
}

_MADE_OF: Final[Mapping[str, tuple[str, ...]]] = {
    "aupt_s": ("apt_s", "aust_s"),
    "aubt_s": ("apt_s", "aust_s", "adet_s"),
    "run_s": ("apt_s", "minor_stop_s"),
    "ideal_s": ("produced", "ideal_s"),
    "ideal_good_s": ("good", "ideal_good_s"),
}
_CODES: Final[Mapping[str, str]] = {
    "produced": "no_part_count",
    "good": "no_good_count",
    "ideal_s": "no_ideal_cycle",
    "ideal_good_s": "no_ideal_cycle",
}


@dataclass(frozen=True)
class Undefined:
    """KPIs that have no value, with the cause, and KPIs that are larger than they can be."""

    reasons: Mapping[str, str]
    above_one: tuple[str, ...]


def ratios(sums: pa.Table, time_model: TimeModel = "iso22400") -> list[dict[str, Any]]:
    """One row per row of `sums`: what was given, every KPI, `reasons_null` and `above_one`.

    Columns of SUMS that are not there are taken as unknown; other columns are carried along.
    """
    found = ask(sql_text("kpi"), {"time_model": time_model}, sums=_with_all_columns(sums))
    rows: list[dict[str, Any]] = found.to_pylist()
    return [row | _explain(row, time_model) for row in rows]


def _with_all_columns(sums: pa.Table) -> pa.Table:
    for name in SUMS:
        if name not in sums.column_names:
            sums = sums.append_column(name, pa.nulls(sums.num_rows, pa.float64()))
    return sums


def _explain(row: Mapping[str, Any], time_model: TimeModel) -> dict[str, Any]:
    undefined = [name for name in KPIS if row[name] is None]
    return {
        "reasons_null": {name: _cause(row, KPIS[name], time_model) for name in undefined},
        "above_one": tuple(
            name for name, kpi in KPIS.items() if kpi.ratio and (row[name] or 0.0) > 1 + 1e-9
        ),
    }


def _cause(row: Mapping[str, Any], kpi: Kpi, time_model: TimeModel) -> str:
    for column in kpi.needs:
        if row[column] is None:
            return _unknown(row, column, time_model)
    return kpi.zero


def _unknown(row: Mapping[str, Any], column: str, time_model: TimeModel) -> str:
    made_of = _MADE_OF.get(column, (column,)) if column != "base_s" else _base(time_model)
    first = next(part for part in made_of if row[part] is None)
    return _CODES.get(first, f"missing_{first}")


def _base(time_model: TimeModel) -> tuple[str, ...]:
    match time_model:
        case "iso22400" | "tpm":
            return ("pbt_s",)
        case "setup_planned":
            return ("pbt_s", "aust_s")
        case "semi_e79":
            return ("calendar_s",)
