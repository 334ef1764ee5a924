"""One protocol read by us and by others from the same device, and how their costs compare."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from bench.peers import install, node_red, telegraf
from bench.peers.cost import Cost
from bench.result import Figure


@dataclass(frozen=True)
class Comparison:
    """Of one protocol at one load. `alone` ends in Arrow tables, as the others end in nothing."""

    what: str
    unit: str
    alone: Cost
    whole: Cost
    """From the connector through `shape` into the synced log."""
    others: Mapping[str, Cost] = field(default_factory=dict)
    """They keep nothing: beside `alone`."""
    keeping: Mapping[str, Cost] = field(default_factory=dict)
    """The same, keeping what they read: beside `whole`."""

    def figures(self) -> list[Figure]:
        rate = f"{self.unit}/CPU s"
        found = [
            Figure(f"{self.what}: connector", self.alone.per_cpu_second, rate, better="higher"),
            Figure(f"{self.what}: connector, shape and log", self.whole.per_cpu_second, rate,
                   better="higher"),
            Figure(f"{self.what}: connector", self.alone.cpu_per_10_000, "CPU s/10,000"),
            Figure(f"{self.what}: connector, shape and log", self.whole.cpu_per_10_000,
                   "CPU s/10,000"),
        ]  # fmt: skip
        for name, cost in self.others.items():
            ratio = self.alone.per_cpu_second / cost.per_cpu_second
            complete = self.whole.per_cpu_second / cost.per_cpu_second
            found += [
                Figure(f"{self.what}: {name}", cost.per_cpu_second, rate, better="higher"),
                Figure(f"{self.what}: connector to {name}", ratio, "times", 1.0, better="higher"),
                Figure(f"{self.what}: with shape and log to {name}", complete, "times",
                       better="higher"),
            ]  # fmt: skip
        for name, cost in self.keeping.items():
            ratio = self.whole.per_cpu_second / cost.per_cpu_second
            found += [
                Figure(f"{self.what}: {name}", cost.per_cpu_second, rate, better="higher"),
                Figure(f"{self.what}: with shape and log to {name}", ratio, "times",
                       better="higher"),
            ]  # fmt: skip
        return [_rounded(figure) for figure in found]

    def as_dict(self) -> dict[str, Any]:
        beside = {**self.others, **self.keeping}
        others = {name: cost.as_dict() for name, cost in beside.items()}
        return {"connector": self.alone.as_dict(), "whole": self.whole.as_dict()} | others


class Measure(Protocol):
    def __call__(self, *, stores: bool) -> Cost: ...


def with_telegraf(measure: Measure) -> tuple[dict[str, Cost], dict[str, Cost]]:
    """Telegraf's cost, keeping nothing and writing to a file; empty where it cannot be built."""
    if install.telegraf() is None:
        return {}, {}
    return {"Telegraf": measure(stores=False)}, {"Telegraf into a file": measure(stores=True)}


def versions() -> dict[str, str]:
    """Of those beside us; one that is not here says why."""
    built = install.telegraf() is not None
    told = telegraf.version() if built else "not measured: no Go toolchain here"
    return node_red.versions() | {"telegraf": told}


def _rounded(figure: Figure) -> Figure:
    digits = 0 if figure.value >= 1000 else 4
    value = round(figure.value, digits)
    return Figure(figure.what, value, figure.unit, figure.budget, figure.better)
