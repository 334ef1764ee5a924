"""The golden cases of the standards, through the same SQL as the platform's figures."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml
from oee import oee as peer_oee

from isthmus.apps.oee.kpi import KpiRow
from isthmus.apps.oee.losses import waterfall
from isthmus.apps.oee.ratios import ratios

GOLDEN = Path(__file__).parents[3] / "shared" / "standards" / "kpi_golden.yaml"


def _cases() -> Mapping[str, Mapping[str, Any]]:
    if not GOLDEN.exists():
        return {}
    text = GOLDEN.read_text(encoding="utf-8")
    return {case["id"]: case for case in yaml.safe_load(text)["cases"]}


CASES = _cases()
pytestmark = pytest.mark.skipif(not CASES, reason="shared/standards is not beside the repository")


def _kpis(time_model: Any = "iso22400", **sums: float | None) -> dict[str, Any]:
    table = pa.table({name: pa.array([value], pa.float64()) for name, value in sums.items()})
    return ratios(table, time_model)[0]


def _of_group(group: str) -> list[str]:
    return [name for name, case in CASES.items() if case["group"] == group]


def _seconds(case: Mapping[str, Any]) -> float:
    return {"s": 1.0, "min": 60.0, "h": 3600.0}[case["inputs"].get("time_unit", "s")]


def _classic(case: Mapping[str, Any]) -> dict[str, float]:
    """Planned production time, downtime, counts and one ideal cycle, as sums."""
    given, unit = case["inputs"], _seconds(case)
    total, good = given["total_count"], given["total_count"] - given.get("reject_count", 0)
    pri = given["ideal_cycle_time"] * unit
    planned = given["planned_production_time"] * unit
    return {
        "pbt_s": planned,
        "apt_s": planned - given["downtime"] * unit,
        "produced": total,
        "good": good,
        "ideal_s": pri * total,
        "ideal_good_s": pri * good,
        "planned_down_s": given.get("planned_downtime", 0) * unit,
        "calendar_s": given.get("all_time", 0) * unit,
    }


@pytest.mark.parametrize("name", _of_group("oee"))
def test_published_oee_examples(name: str) -> None:
    case = CASES[name]
    expected, tolerance = case["expected"], case["abs_tolerance"]

    found = _kpis(**_classic(case))

    assert found["availability"] == pytest.approx(expected["availability"], abs=tolerance)
    assert found["effectiveness"] == pytest.approx(expected["performance"], abs=tolerance)
    assert found["quality_ratio"] == pytest.approx(expected["quality"], abs=tolerance)
    oee = expected.get("oee", expected.get("oee_derived"))
    assert found["oee"] == pytest.approx(oee, abs=tolerance)
    if "teep_all_time_480" in expected:
        assert found["teep"] == pytest.approx(expected["teep_all_time_480"], abs=tolerance)
        assert found["loading"] == pytest.approx(expected["utilization_all_time_480"])


@pytest.mark.parametrize("name", _of_group("oee"))
def test_published_examples_equal_the_independent_library(name: str) -> None:
    given = CASES[name]["inputs"]
    peer = peer_oee(
        given["planned_production_time"],
        downtime=given["downtime"],
        ideal_cycle_time=given["ideal_cycle_time"],
        total_count=given["total_count"],
        reject_count=given["reject_count"],
    )

    found = _kpis(**_classic(CASES[name]))

    assert found["availability"] == pytest.approx(peer.availability)
    assert found["effectiveness"] == pytest.approx(peer.performance)
    assert found["quality_ratio"] == pytest.approx(peer.quality)
    assert found["oee"] == pytest.approx(peer.oee)


@pytest.mark.parametrize("name", _of_group("oee_from_factors"))
def test_oee_is_the_product_of_its_factors(name: str) -> None:
    case = CASES[name]
    a, p, q = (case["inputs"][factor] for factor in ("availability", "performance", "quality"))

    found = _kpis(pbt_s=1, apt_s=a, produced=1, good=q, ideal_s=a * p, ideal_good_s=a * p * q)

    assert found["oee"] == pytest.approx(case["expected"]["oee"], abs=case["abs_tolerance"])


def test_roll_up_adds_sums_and_never_averages_percentages() -> None:
    case = CASES["oee_pkg_rollup_two_machines"]
    parts = case["inputs"]["parts"]

    found = _kpis(
        pbt_s=sum(one["planned_production_time"] for one in parts),
        apt_s=sum(one["run_time"] for one in parts),
        produced=sum(one["total_count"] for one in parts),
        good=sum(one["good_count"] for one in parts),
        ideal_s=sum(one["ideal_cycle_time"] * one["total_count"] for one in parts),
        ideal_good_s=sum(one["ideal_cycle_time"] * one["good_count"] for one in parts),
    )

    expected, tolerance = case["expected"], case["abs_tolerance"]
    assert found["availability"] == pytest.approx(expected["availability"], abs=tolerance)
    assert found["effectiveness"] == pytest.approx(expected["performance"], abs=tolerance)
    assert found["quality_ratio"] == pytest.approx(expected["quality"], abs=tolerance)
    assert found["oee"] == pytest.approx(expected["oee"], abs=tolerance)
    assert abs(found["oee"] - expected["wrong_mean_of_oees"]) > 0.08


def _several_products(case: Mapping[str, Any]) -> dict[str, Any]:
    given = case["inputs"]
    runs = given["runs"]
    return _kpis(
        pbt_s=given["planned_production_time"],
        apt_s=given["planned_production_time"] - given["downtime"],
        produced=sum(run["count"] for run in runs),
        good=sum(run["good"] for run in runs),
        ideal_s=sum(run["ideal_cycle_time"] * run["count"] for run in runs),
        ideal_good_s=sum(run["ideal_cycle_time"] * run["good"] for run in runs),
    )


def test_several_products_weigh_quality_by_ideal_time() -> None:
    case = CASES["multi_product_time_weighted"]
    expected, tolerance = case["expected"], case["abs_tolerance"]

    found = _several_products(case)

    assert found["availability"] == pytest.approx(expected["availability"], abs=tolerance)
    assert found["effectiveness"] == pytest.approx(expected["performance"], abs=tolerance)
    assert found["quality_ratio"] == pytest.approx(expected["quality"], abs=tolerance)
    assert found["oee"] == pytest.approx(expected["oee"], abs=tolerance)


def test_the_other_convention_of_quality_has_its_own_name() -> None:
    case = CASES["multi_product_count_weighted"]

    found = _several_products(case)

    assert found["quality_ratio_by_count"] == pytest.approx(case["expected"]["quality"], abs=1e-6)


def test_all_ratios_of_iso22400() -> None:
    case = CASES["iso22400_all_ratios"]
    given = case["inputs"]
    minutes = {
        "pbt_s": "PBT", "pot_s": "POT", "apt_s": "APT", "aust_s": "AUST", "adet_s": "ADET",
        "adot_s": "ADOT", "aoet_s": "AOET", "work_s": "APWT", "attendance_s": "APAT",
        "corrective_s": "CMT", "preventive_s": "PMT",
    }  # fmt: skip
    pieces = {
        "produced": "PQ", "good": "GQ", "scrap": "SQ", "rework": "RQ", "planned_scrap": "PSQ",
        "good_at_first": "GP", "inspected": "IP",
    }  # fmt: skip
    sums = {name: 60.0 * given[symbol] for name, symbol in minutes.items()}
    sums |= {name: given[symbol] for name, symbol in pieces.items()}
    sums |= {
        "ideal_s": 60 * given["PRI"] * given["PQ"],
        "ideal_good_s": 60 * given["PRI"] * given["GQ"],
    }
    ours = {
        "oee_index": "oee", "nee_index": "nee", "throughput_rate_per_min": "throughput_per_hour",
        "AUPT": "aupt_s", "AUBT": "aubt_s",
    }  # fmt: skip

    found = _kpis(**sums)

    found["throughput_per_hour"] /= 60
    found["aupt_s"] /= 60
    found["aubt_s"] /= 60
    for name, expected in case["expected"].items():
        assert found[ours.get(name, name)] == pytest.approx(expected, abs=1e-6), name


def test_without_planned_time_availability_is_undefined_not_one() -> None:
    assert CASES["iso22400_availability_pbt_zero"]["expected"] == {"availability_ptc_rule": 1}

    found = _kpis(pbt_s=0, apt_s=0)

    assert found["availability"] is None
    assert found["reasons_null"]["availability"] == "no_planned_busy_time"


def test_performance_above_one_is_kept_and_flagged() -> None:
    case = CASES["performance_above_100"]
    given = case["inputs"]

    found = _kpis(
        pbt_s=given["planned_production_time"], apt_s=given["run_time"],
        produced=given["total_count"], good=given["good_count"],
        ideal_s=given["total_count"], ideal_good_s=given["good_count"],
    )  # fmt: skip

    assert found["effectiveness"] == pytest.approx(case["expected"]["performance_raw"])
    assert found["oee"] == pytest.approx(case["expected"]["oee_raw"])
    assert "effectiveness" in found["above_one"]


def test_without_output_factors_are_undefined_and_oee_is_zero() -> None:
    found = _kpis(pbt_s=480, apt_s=0, produced=0, good=0, ideal_s=0, ideal_good_s=0)

    assert (found["availability"], found["oee"]) == (0, 0)
    assert (found["effectiveness"], found["quality_ratio"]) == (None, None)
    assert found["reasons_null"]["effectiveness"] == "no_production_time"
    assert found["reasons_null"]["quality_ratio"] == "no_parts"


def test_teep_and_ooe_never_exceed_oee() -> None:
    case = CASES["ooe_teep_family"]

    found = _kpis(**_classic(case))

    for name, expected in case["expected"].items():
        assert found[name] == pytest.approx(expected, abs=1e-6)


def test_teep_of_a_single_shift() -> None:
    case = CASES["teep_single_shift"]
    oee, loading = case["inputs"]["oee"], case["inputs"]["loading"]

    found = _kpis(pbt_s=loading, calendar_s=1, good=1, ideal_good_s=oee * loading)

    assert found["teep"] == pytest.approx(case["expected"]["teep"], abs=case["abs_tolerance"])


def test_semi_e79_divides_by_all_time() -> None:
    case = CASES["semi_e79_vs_iso"]
    given, expected = case["inputs"], case["expected"]
    sums = {
        "pbt_s": given["planned_busy_time"], "calendar_s": given["total_time"], "good": 1,
        "ideal_good_s": given["theoretical_time_effective_units"],
    }  # fmt: skip

    assert _kpis("iso22400", **sums)["oee"] == pytest.approx(expected["oee_iso22400"], abs=1e-6)
    assert _kpis("semi_e79", **sums)["oee"] == pytest.approx(expected["oee_semi_e79"], abs=1e-6)


def test_moving_the_minor_stop_threshold_moves_time_between_factors_but_not_oee() -> None:
    case = CASES["minor_stop_threshold"]
    given, expected = case["inputs"], case["expected"]
    stops = given["stops"]
    minor = sum(stop for stop in stops if stop <= given["minor_stop_threshold"])
    planned = given["planned_production_time"]
    ideal = given["ideal_cycle_time"] * given["total_count"]
    sums = {
        "pbt_s": planned, "apt_s": planned - sum(stops), "minor_stop_s": minor,
        "produced": given["total_count"], "good": given["good_count"],
        "ideal_s": ideal, "ideal_good_s": ideal,
    }  # fmt: skip

    six_losses, iso = _kpis("tpm", **sums), _kpis("iso22400", **sums)

    assert minor == expected["minor_stops"]
    assert six_losses["availability"] == pytest.approx(expected["availability"], abs=1e-6)
    assert six_losses["effectiveness"] == pytest.approx(expected["performance"], abs=1e-6)
    assert iso["availability"] == pytest.approx(3280 / 3600)
    assert iso["effectiveness"] == pytest.approx(3200 / 3280)
    assert six_losses["oee"] == iso["oee"] == pytest.approx(expected["oee"], abs=1e-6)


def test_six_big_losses_and_productive_time_are_the_planned_time() -> None:
    case = CASES["oee_pkg_six_big_losses"]
    given, expected = case["inputs"], case["expected"]
    pri, total = given["ideal_cycle_time"], given["total_count"]
    good = total - given["reject_count"]
    downtime, setup = given["downtime"], given["setup_time"]
    lost = {
        "operating": given["planned_production_time"] - downtime,
        "setup": setup,
        "breakdowns": downtime - setup,
    }
    total_row = KpiRow(
        "", "", {}, 0, 0, {"ideal_s": pri * total, "ideal_good_s": pri * good}, {}, {}
    )

    steps = {step.key: step.seconds for step in waterfall(lost, total_row)}

    assert steps["planned_busy"] == given["planned_production_time"]
    assert steps["breakdowns"] == expected["breakdowns"]
    assert steps["setup"] == expected["setup_and_adjustments"]
    assert steps["speed"] == expected["minor_stops_and_reduced_speed"]
    assert steps["scrap_rework"] == expected["process_defects"] + expected["reduced_yield"]
    assert steps["productive"] == expected["fully_productive_time"]


def test_order_change_splits_counts_and_setup_is_no_loss_for_nee() -> None:
    case = CASES["order_change_setup"]
    orders, expected = case["inputs"]["orders"], case["expected"]

    found = _kpis(
        pbt_s=case["inputs"]["PBT"],
        apt_s=sum(order["production"] for order in orders),
        aust_s=sum(order["setup"] for order in orders),
        produced=sum(order["PQ"] for order in orders),
        good=sum(order["GQ"] for order in orders),
        ideal_s=sum(order["PRI"] * order["PQ"] for order in orders),
        ideal_good_s=sum(order["PRI"] * order["GQ"] for order in orders),
    )

    for name in ("availability", "effectiveness", "oee", "nee"):
        assert found[name] == pytest.approx(expected[name], abs=1e-6)


def test_reliability_divides_by_failures() -> None:
    ibm, package = CASES["ibm_mtbf"], CASES["oee_pkg_reliability"]
    hours = ibm["inputs"]["operating_time_h"]

    found = _kpis(operating_s=hours * 3600, failures=ibm["inputs"]["failures"])
    assert found["mtbf_s"] == ibm["expected"]["mtbf_h"] * 3600

    given, expected = package["inputs"], package["expected"]
    found = _kpis(
        operating_s=given["operating_time"],
        failures=given["failures"],
        repair_s=given["total_repair_time"],
    )
    assert (found["mtbf_s"], found["mttr_s"]) == (expected["mtbf"], expected["mttr"])
    availability = expected["inherent_availability"]
    assert found["inherent_availability"] == pytest.approx(availability, abs=1e-6)


def test_nights_outside_the_shift_are_not_downtime() -> None:
    case = CASES["production_anomaly_schedule"]
    given, expected = case["inputs"], case["expected"]
    planned = given["scheduled_hours"] * 3600
    ideal = given["units_made"] * 3600 / given["rate_per_hour"]

    found = _kpis(
        pbt_s=planned, apt_s=planned - given["downtime_min"] * 60, produced=given["units_made"],
        good=given["units_made"], ideal_s=ideal, ideal_good_s=ideal,
    )  # fmt: skip

    assert found["availability"] == pytest.approx(expected["availability"], abs=1e-3)
    assert found["oee"] == pytest.approx(expected["oee_partial"], abs=1e-3)
