"""The reference page of the KPIs, made from the comments of kpi.sql."""

import re
from collections.abc import Iterator
from typing import Final

from tests.docs.pages import ROOT, cell, made_from

from isthmus.apps.oee.ratios import KPIS

WHY_UNDEFINED: Final = {
    "no_planned_busy_time": "nothing was planned in this window",
    "no_production_time": "the machine did not produce",
    "no_parts": "no part was made",
    "no_busy_time": "the machine was busy for no second",
    "no_processing_time": "neither production nor setup",
    "no_order_time": "no order ran",
    "no_planned_scrap": "no scrap is planned",
    "nothing_inspected": "no part was inspected",
    "no_attendance": "nobody was attending",
    "no_maintenance": "no maintenance took place",
    "no_failures": "no failure began in this window",
    "no_calendar_time": "the window is empty",
    "no_part_count": "the machine's type maps no count of parts",
    "no_good_count": "the machine's type maps neither good parts nor scrap",
    "no_ideal_cycle": "neither material, order nor machine says how long a part should take",
    "missing_…": "this sum is not known; in `isthmus kpi --facts` the column is missing",
}

ELEMENTS: Final = {
    "PBT": ("`pbt_s`", "planned busy time: shift without breaks and other planned stops"),
    "APT": ("`apt_s`", "actual production time"),
    "AUST": ("`aust_s`", "actual unit setup time"),
    "ADET": ("`adet_s`", "actual unit delay time: standing with an order"),
    "ADOT": ("`adot_s`", "actual unit down time: standing without an order"),
    "AUPT": ("`apt_s + aust_s`", "actual unit processing time"),
    "AUBT": ("`apt_s + aust_s + adet_s`", "actual unit busy time"),
    "AOET": ("`aoet_s`", "actual order execution time"),
    "PRI × PQ": ("`ideal_s`", "planned run time per item × produced quantity, summed by material"),
    "PRI × GQ": ("`ideal_good_s`", "the same for good parts"),
    "PQ, GQ, SQ, RQ": ("`produced`, `good`, `scrap`, `rework`", "quantities"),
    "TBF, TTR, FE": (
        "`operating_s`, `repair_s`, `failures`",
        "between failures, to repair, events",
    ),
}
"""What the formulas are made of."""


def kpi_page() -> str:
    return "\n".join([made_from("`apps/oee/kpi.sql`"), _HEAD, *_tables()])


_HEAD: Final = """\
# KPIs

Names and formulas of ISO 22400-2. Every KPI is a ratio of sums of `oee_fact`: sum first, divide
last. What is behind it: [how OEE is computed](../concepts/oee.md).
"""

_NO_NUMBER: Final = """
## When there is no number

An undefined KPI is null, never 0 or 1, and `reasons_null` says why. Ratios above 1 are kept and
listed in `above_one`: an ideal cycle time or a count is wrong.
"""


def _tables() -> Iterator[str]:
    yield from ("| KPI | formula |", "|---|---|")
    yield from (f"| `{name}` | {cell(text)} |" for name, text in formulas())
    yield from ("", "| element | sum | |", "|---|---|---|")
    yield from (f"| {name} | {column} | {text} |" for name, (column, text) in ELEMENTS.items())
    yield from (_NO_NUMBER, "| reason | |", "|---|---|")
    yield from (f"| `{code}` | {text} |" for code, text in WHY_UNDEFINED.items())
    yield ""


def formulas() -> list[tuple[str, str]]:
    """KPI and the comment behind its line in kpi.sql."""
    text = (ROOT / "src" / "isthmus" / "apps" / "oee" / "kpi.sql").read_text(encoding="utf-8")
    found = dict(re.findall(r"\bAS (\w+),?\s*-- (.+)$", text, re.MULTILINE))
    return [(name, found[name]) for name in KPIS if name in found]
