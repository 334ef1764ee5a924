"""`examples/plc` is what `isthmus plc` writes for the reference company; the guide quotes it."""

import re
from pathlib import Path

import pytest
from tests.docs.pages import DOCS, ROOT

from isthmus.base.german import Language
from isthmus.field.plc.generate import Choice, generate
from isthmus.field.plc.layout import Wording
from isthmus.field.plc.registry import TARGETS
from isthmus.field.plc.target import Settings
from isthmus.runtime.open import load_plant

EXAMPLES = ROOT / "examples" / "plc"
GUIDE = DOCS / "guides" / "plc.md"
BLOCKS = ("machine_state", "part_count", "injection_cycle", "job")
GERMAN = {"siemens", "codesys"}


def written(target: str) -> dict[str, bytes]:
    language: Language = "de" if target in GERMAN else "en"
    plant = load_plant(ROOT / "examples" / "acme")
    settings = Settings(plant.enterprise, language)
    made = generate(plant, Choice(BLOCKS, target, settings, Wording(language), {}))
    return {file.name: file.content for file in made.files}


@pytest.mark.parametrize("target", list(TARGETS))
def test_examples_are_current(target: str, *, golden: bool) -> None:
    folder = EXAMPLES / target
    expected = written(target)
    if golden:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in expected.items():
            (folder / name).write_bytes(content)
    found = {file.name: file.read_bytes() for file in folder.iterdir()}
    assert found == expected, "`make golden` writes them anew"


def test_the_guide_quotes_the_examples() -> None:
    blocks = r"^```(?:text|yaml|xml)\n(.*?)^```"
    quoted = re.findall(blocks, GUIDE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    everything = "\n".join(words(file) for file in sorted(EXAMPLES.rglob("*.*")))
    lines = [line for block in quoted for line in block.splitlines() if line.strip(" …")]
    assert len(lines) >= 9
    assert [line for line in lines if " ".join(line.split()) not in everything] == []


def words(file: Path) -> str:
    return "\n".join(" ".join(line.split()) for line in file.read_text("utf-8-sig").splitlines())
