"""What a person can type, set, declare or be told is documented."""

import re
import tomllib
from pathlib import Path

import pytest
from pydantic import BaseModel
from tests.docs.page_of_endpoints import endpoints, openapi
from tests.docs.pages import DOCS, REFERENCE, ROOT

from isthmus.apps.registry import USE_CASES
from isthmus.cli import COMMANDS
from isthmus.field.quarantine import Why
from isthmus.field.registry import SOURCE_KINDS
from isthmus.model.catalogue import CATALOGUE
from isthmus.model.spec.site import SourceSpec, SystemSpec
from isthmus.provision.systems import SYSTEM_KINDS
from isthmus.web.api import PREFIX

SOURCE = ROOT / "src" / "isthmus"
BASE = {"kind", "enabled"}


def code(folder: Path = SOURCE) -> str:
    return "\n".join(file.read_text("utf-8") for file in sorted(folder.rglob("*.py")))


def words(page: Path) -> set[str]:
    """Everything in backticks, also the last part of a dotted name."""
    quoted = re.findall(r"`([^`\n]+)`", page.read_text("utf-8"))
    return {word for text in quoted for word in (text, text.rpartition(".")[2])}


def test_every_environment_variable_is_documented():
    used = set(re.findall(r"ISTHMUS_[A-Z]+", code()))
    told = set(re.findall(r"ISTHMUS_[A-Z]+", (REFERENCE / "settings.md").read_text("utf-8")))
    assert used == told


def test_every_setting_that_is_documented_has_its_default():
    from isthmus.runtime.settings import Settings

    page = (REFERENCE / "settings.md").read_text("utf-8")
    defaults = Settings()
    for name, value in (("PORT", defaults.port), ("HOST", defaults.host), ("LOG", defaults.log)):
        assert f"| `ISTHMUS_{name}` | `{value}` |" in page


def test_every_problem_code_is_documented():
    """M in the model, D in tables and logs, L in the ledger."""
    used = set(re.findall(r'"([DLM]\d\d\d)"', code()))
    problems, ledger = REFERENCE / "problems.md", DOCS / "concepts" / "ledger.md"
    told = set(re.findall(r"^## (M\d\d\d)$", problems.read_text("utf-8"), re.MULTILINE))
    told |= set(re.findall(r"^\| ([DL]\d\d\d) \|", ledger.read_text("utf-8"), re.MULTILINE))
    assert told == used | set(CATALOGUE)


def test_every_quarantine_code_is_documented():
    used = {why.code for why in Why if why is not Why.FINE}
    used |= set(re.findall(r'"(Q1\d\d)"', code(SOURCE / "provision")))
    pages = [REFERENCE / "quarantine.md", REFERENCE / "quarantine_systems.md"]
    told = {
        one
        for page in pages
        for one in re.findall(r"^\| (Q\d\d\d) ", page.read_text(), re.MULTILINE)
    }
    assert told == used


def test_every_endpoint_is_documented():
    page = (REFERENCE / "api.md").read_text("utf-8")
    missing = [
        f"{method} {path}"
        for method, path, _ in endpoints(openapi())
        if f"`{method} {PREFIX}{path}`" not in page
    ]
    assert missing == []


@pytest.mark.parametrize("kind", sorted(SOURCE_KINDS))
def test_every_option_of_a_connector_is_documented(kind):
    told = words(REFERENCE / "connectors" / f"{kind}.md")
    own = keys(SOURCE_KINDS[kind]) - keys(SourceSpec)
    assert own - told == set()


@pytest.mark.parametrize("kind", sorted(SYSTEM_KINDS))
def test_every_option_of_a_system_is_documented(kind):
    told = words(REFERENCE / "systems" / f"{kind}.md")
    own = keys(SYSTEM_KINDS[kind]) - keys(SystemSpec)
    assert own - told == set()


def keys(spec: type[BaseModel]) -> set[str]:
    return {field.alias or name for name, field in spec.model_fields.items()} - BASE


def test_every_option_of_a_use_case_is_documented():
    told = words(REFERENCE / "use-cases.md")
    assert set(USE_CASES) <= told
    assert {key for spec in USE_CASES.values() for key in spec.model_fields} <= told


def test_every_extra_that_is_named_exists():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = {
        extra
        for page in DOCS.rglob("*.md")
        for one in re.findall(r"isthmus\[([a-z,]+)\]", page.read_text("utf-8"))
        for extra in one.split(",")
    }
    assert named <= set(extras["optional-dependencies"])


WRITTEN = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_that_is_named_exists(page):
    """In code: `isthmus …` has that command, `make …` has that goal."""
    blocks = re.findall(r"```[a-z]*\n(.*?)```|`([^`\n]+)`", page.read_text("utf-8"), re.DOTALL)
    shown = "\n".join(block or inline for block, inline in blocks)
    commands = set(re.findall(r"(?:^|[/(])isthmus ([a-z]+)\b", shown, re.MULTILINE))
    goals = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert commands - set(COMMANDS) == set()
    assert set(re.findall(r"^make ([a-z-]+)", shown, re.MULTILINE)) - goals == set()
