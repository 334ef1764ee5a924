"""What a device or a person wrote is printed as it was written."""

from pathlib import Path

import pytest
from rich.table import Table

import isthmus.cli
from isthmus.cli.screen import screen

WRITTEN = "holding:100:uint16 [degF] [b]Zone[/b] :warning:"
WITH_MARKUP = {"screen.py", "demo.py", "up.py", "feed.py"}
"""Those that print only what we wrote."""


def test_tags_and_units_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("tag")
    table.add_row(WRITTEN)
    screen(width=100).print(table)
    screen(errors=True, width=100).print(WRITTEN)
    out, err = capsys.readouterr()
    assert WRITTEN in out
    assert err == f"{WRITTEN}\n"


def test_no_command_prints_on_a_screen_of_its_own() -> None:
    commands = Path(isthmus.cli.__file__).parent.glob("*.py")
    own = {file.name for file in commands if " Console(" in file.read_text(encoding="utf-8")}
    assert own <= WITH_MARKUP
