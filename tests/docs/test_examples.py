"""Examples in the documentation do what they say: YAML is a model, SQL runs, messages are real."""

import asyncio
import re
from collections.abc import Iterator

import pytest
import yaml
from pydantic import TypeAdapter
from tests.docs.pages import DOCS, ROOT

from isthmus.apps.registry import USE_CASES
from isthmus.base.clock import SystemClock
from isthmus.field.registry import SOURCE_KINDS
from isthmus.model.spec.machine_type import MachineType
from isthmus.model.spec.site import Machine
from isthmus.provision.systems import SYSTEM_KINDS
from isthmus.runtime.open import load_plant
from isthmus.runtime.platform import EmbeddedPlatform
from isthmus.runtime.settings import Settings

MESSAGES = DOCS / "guides" / "troubleshooting.md"


class _Loader(yaml.SafeLoader):
    """Knows `!secret`."""


_Loader.add_constructor("!secret", lambda loader, node: "a-secret")


def blocks(language: str) -> Iterator[tuple[str, str]]:
    for page in sorted(DOCS.rglob("*.md")):
        text = page.read_text("utf-8")
        found = re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        for number, block in enumerate(found, 1):
            yield f"{page.relative_to(DOCS)}:{number}", block


def statements() -> Iterator[tuple[str, str]]:
    for place, block in blocks("sql"):
        without_comments = re.sub(r"--.*$", "", block, flags=re.MULTILINE)
        for number, one in enumerate(without_comments.split(";"), 1):
            if one.strip():
                yield f"{place}.{number}", one


@pytest.mark.parametrize("block", [pytest.param(b, id=place) for place, b in blocks("yaml")])
def test_yaml_is_what_the_model_takes(block):
    for document in yaml.load_all(block, _Loader):
        for key, said in document.items():
            check(key, said, document)


def check(key: str, said: object, document: dict[str, object]) -> None:
    match key, said:
        case "sources", dict(sources):
            for one in sources.values():
                SOURCE_KINDS[one["kind"]].model_validate(one)
        case "systems", dict(systems):
            for one in systems.values():
                SYSTEM_KINDS[one["kind"]].model_validate(one)
        case "machines", dict(machines):
            TypeAdapter(dict[str, Machine]).validate_python(machines)
        case "machine_type", _:
            MachineType.model_validate(document)
        case "use_cases", dict(cases):
            for name, options in cases.items():
                USE_CASES[name].model_validate(options)


@pytest.fixture(scope="module")
def platform(tmp_path_factory) -> Iterator[EmbeddedPlatform]:
    """The reference company, opened and not started: every name is there, no row."""
    folder = tmp_path_factory.mktemp("data")
    plant = load_plant(ROOT / "examples" / "acme")
    opened = EmbeddedPlatform(plant, Settings(data=folder), SystemClock())
    asyncio.run(opened.open())
    yield opened
    asyncio.run(opened.stop())


@pytest.mark.parametrize("sql", [pytest.param(sql, id=place) for place, sql in statements()])
def test_sql_runs(platform, sql):
    platform.lake.user_query(sql)


def test_messages_are_those_of_the_program():
    """What stands in a text block of the troubleshooting guide, without its numbers and names."""
    source = program_text()
    quoted = re.findall(
        r"^```text\n(.*?)^```", MESSAGES.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    pieces = [piece for block in quoted for piece in VARYING.split(block) if len(piece.strip()) > 5]
    assert len(pieces) >= 20
    assert [piece for piece in pieces if piece.strip(" .:\n") not in source] == []


VARYING = re.compile(
    r"`[^`]*`|[()\n…]|\w*\[\w+\] [\w.]+:|^hint: |\b\S*\d\S*|part_count|data/\S+", re.MULTILINE
)
"""What a message says about this one case, and not in general."""


def program_text() -> str:
    """All string literals, with those that Python joins joined."""
    text = "\n".join(p.read_text("utf-8") for p in sorted((ROOT / "src").rglob("*.py")))
    return re.sub(r'"\s*\n\s*f?"', "", text)
