"""What a benchmark found: figures with their budgets, printed and kept as JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

from bench.machine import commit, described

RESULTS: Final = Path(__file__).parent / "results"
LOAD_OF_A_QUIET_MACHINE: Final = 1.0


@dataclass(frozen=True)
class Figure:
    """One number; with a budget where DESIGN §14 has one."""

    what: str
    value: float
    unit: str
    budget: float | None = None
    better: Literal["lower", "higher"] = "lower"

    @property
    def verdict(self) -> Literal["within", "over", "no budget"]:
        if self.budget is None:
            return "no budget"
        lower = self.better == "lower"
        kept = self.value <= self.budget if lower else self.value >= self.budget
        return "within" if kept else "over"

    def as_dict(self) -> dict[str, Any]:
        known = {"what": self.what, "value": self.value, "unit": self.unit}
        if self.budget is None:
            return known
        bound = "at_most" if self.better == "lower" else "at_least"
        return known | {bound: self.budget, "verdict": self.verdict}

    def line(self) -> str:
        shown = f"{_number(self.value):>12} {self.unit:<11}"
        if self.budget is None:
            return f"  {shown} {'':<30} {self.what}"
        bound = f"{'≤' if self.better == 'lower' else '≥'} {_number(self.budget)} {self.unit}"
        return f"  {shown} {bound:<22} {self.verdict:<7} {self.what}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def save(name: str, what: str, figures: Sequence[Figure], details: Mapping[str, Any]) -> None:
    """Print the figures and write `results/NAME.json`."""
    machine = described()
    print(f"{name}: {what}")
    for figure in figures:
        print(figure.line())
    if machine["load"][0] > LOAD_OF_A_QUIET_MACHINE * machine["cores"]:
        print(f"  (the machine was busy: load {machine['load'][0]} on {machine['cores']} cores)")
    found = {
        "benchmark": name,
        "what": what,
        "at": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "commit": commit(),
        "machine": machine,
        "figures": [figure.as_dict() for figure in figures],
        "details": dict(details),
    }
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps(found, indent=2, ensure_ascii=False)
    (RESULTS / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of them lie (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
