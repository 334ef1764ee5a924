"""Pages made from the code are current, and say something about everything."""

import re

import pytest
from tests.docs.page_of_blocks import blocks_page
from tests.docs.page_of_cli import cli_page
from tests.docs.page_of_endpoints import endpoints, endpoints_page, openapi
from tests.docs.page_of_kpi import WHY_UNDEFINED, formulas, kpi_page
from tests.docs.page_of_tables import WHAT_IT_IS, tables_page
from tests.docs.pages import REFERENCE

from isthmus.apps.oee.ratios import KPIS
from isthmus.cli import COMMANDS, load
from isthmus.provision.join import VIEWS

MAKERS = {
    "blocks.md": blocks_page,
    "cli.md": lambda _: cli_page(),
    "endpoints.md": lambda _: endpoints_page(),
    "tables.md": tables_page,
    "kpi.md": lambda _: kpi_page(),
}


@pytest.mark.parametrize("name", MAKERS)
def test_page_is_current(name, golden, tmp_path):
    page, file = MAKERS[name](tmp_path), REFERENCE / name
    if golden:
        file.write_text(page, encoding="utf-8")
    assert file.read_text(encoding="utf-8") == page, "`make golden` writes it anew"


def test_every_command_and_option_is_documented():
    page = (REFERENCE / "cli.md").read_text(encoding="utf-8")
    for name in COMMANDS:
        section = page.partition(f"\n## isthmus {name}\n")[2].partition("\n## ")[0]
        command = load(name)
        for one in [command, *getattr(command, "commands", {}).values()]:
            options = [o for parameter in one.params for o in parameter.opts if o[0] == "-"]
            told = [option for option in options if "completion" not in option]
            assert [option for option in told if f"`{option}`" not in section] == [], name


def test_every_option_says_what_it_does():
    page = (REFERENCE / "cli.md").read_text(encoding="utf-8")
    silent = re.findall(r"^\| (`[^|]+`) \| [^|]* \|\s*\|$", page, re.MULTILINE)
    assert silent == []


def test_every_endpoint_says_what_it_does():
    for method, path, operation in endpoints(openapi()):
        assert operation.get("description"), (method, path)


def test_every_view_of_the_company_is_documented():
    assert set(VIEWS) <= set(WHAT_IT_IS)


def test_every_kpi_has_its_formula():
    assert [name for name, _ in formulas()] == list(KPIS)


def test_every_cause_of_an_undefined_kpi_is_explained():
    zeros = {one.zero for one in KPIS.values()}
    assert zeros <= set(WHY_UNDEFINED)
