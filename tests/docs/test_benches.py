"""`make bench` knows every benchmark, and every result says where it was measured."""

import json

import pytest
from bench.__main__ import BENCHES
from bench.result import Figure
from tests.docs.pages import ROOT

PARTS = {"__main__", "machine", "result", "company", "browser", "month"}
"""Files of bench/ that measure nothing by themselves."""
RESULTS = sorted((ROOT / "bench" / "results").glob("*.json"))


def test_runner_knows_every_benchmark():
    files = {file.stem for file in (ROOT / "bench").glob("*.py")}
    assert set(BENCHES) == files - PARTS


@pytest.mark.parametrize("file", RESULTS, ids=lambda file: file.stem)
def test_result_says_what_when_where_and_how_busy_the_machine_was(file):
    found = json.loads(file.read_text("utf-8"))
    assert found["benchmark"] == file.stem
    assert found["what"]
    assert found["at"].endswith("Z")
    assert found["figures"]
    assert {"cpu", "cores", "memory_gb", "load", "system", "python"} <= set(found["machine"])


def test_figure_at_its_budget_is_within_it():
    assert Figure("p50", 0.5, "s", 0.5).verdict == "within"
    assert Figure("rate", 10, "/s", 10, "higher").verdict == "within"


def test_figure_beyond_its_budget_is_over():
    assert Figure("p50", 0.6, "s", 0.5).verdict == "over"
    assert Figure("rate", 9, "/s", 10, "higher").verdict == "over"
