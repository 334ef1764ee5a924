"""`isthmus kpi --facts`: KPIs of a file of sums, and what it says about a wrong one."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from isthmus.apps.oee.ratios import KPIS
from isthmus.apps.oee.sums_file import kpi_of_sums
from isthmus.base.problem import ProblemsError
from isthmus.cli.kpi import kpi

app = typer.Typer()
app.command()(kpi)


@pytest.fixture
def sums(tmp_path: Path) -> Path:
    return tmp_path / "sums.csv"


def test_file_gives_every_kpi_as_json(sums: Path) -> None:
    sums.write_text(
        "group,pbt_s,apt_s,aust_s,adet_s,adot_s,unknown_s,produced,good,scrap,rework,ideal_s,ideal_good_s\n"
        "press,25200,20400,1200,1500,2100,0,640,600,25,15,19200,18000\n",
        encoding="utf-8",
    )

    ran = CliRunner().invoke(app, ["--facts", str(sums), "--format", "json"])

    rows = json.loads(ran.output)
    assert rows[0]["oee"] == pytest.approx(0.714286, abs=1e-6)
    assert rows[0]["nee"] == pytest.approx(0.756303, abs=1e-6)
    assert set(KPIS) <= set(rows[0])
    assert rows[0]["reasons_null"]["mtbf_s"] == "missing_operating_s"


def test_missing_columns_and_empty_cells_are_unknown(sums: Path) -> None:
    sums.write_text("pbt_s,apt_s\n100,80\n100,\n", encoding="utf-8")

    known, unknown = kpi_of_sums(sums)

    assert known["availability"] == 0.8
    assert known["reasons_null"]["oee"] == "no_good_count"
    assert unknown["reasons_null"]["availability"] == "missing_apt_s"


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("pbt_s,aptt_s\n1,1\n", "K001", "`aptt_s` is no column of a table of sums"),
        ("pbt_s,oee\n1,1\n", "K001", "`oee` is computed, not given"),
        ("pbt_s,pbt_s\n1,1\n", "K002", "`pbt_s` is there twice"),
        ("group\na\n", "K003", "no column holds a sum"),
        ("pbt_s,apt_s\n1\n", "K004", "1 cells under 2 columns"),
        ("pbt_s\nmany\n", "K005", "`many` is no number"),
        ("pbt_s\nNaN\n", "K005", "`NaN` is not finite"),
        ("pbt_s\ninf\n", "K005", "`inf` is not finite"),
        ("pbt_s\n-1\n", "K005", "`-1` is negative"),
        ("pbt_s\n", "K006", "no row below the header"),
        ("", "K003", "no column holds a sum"),
    ],
)
def test_a_wrong_file_says_what_is_wrong_and_where(
    sums: Path, text: str, code: str, message: str
) -> None:
    sums.write_text(text, encoding="utf-8")

    with pytest.raises(ProblemsError) as caught:
        kpi_of_sums(sums)

    assert [problem.code for problem in caught.value.problems] == [code]
    assert message in caught.value.problems[0].message


def test_wrong_file_ends_with_exit_code_one(sums: Path) -> None:
    sums.write_text("pbt_s\n-1\n", encoding="utf-8")

    ran = CliRunner().invoke(app, ["--facts", str(sums)])

    assert ran.exit_code == 1
    assert "sums.csv:2:1" in ran.stderr
