"""The reference company, seen from another terminal."""

import json
from pathlib import Path
from typing import NoReturn

import pytest
from typer.testing import CliRunner

from isthmus.cli import app
from isthmus.cli.demo import MODEL
from isthmus.runtime.open import load_plant
from isthmus.runtime.supervisor import StartError, Supervisor


@pytest.fixture
def ports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Where a demo that ends before its devices begin would have had them."""

    async def ends(_: Supervisor) -> NoReturn:
        raise StartError("enough")

    monkeypatch.setenv("ISTHMUS_DATA", str(tmp_path))
    monkeypatch.setattr(Supervisor, "run", ends)
    assert CliRunner().invoke(app, ["demo"]).exit_code == 1
    known: dict[str, int] = json.loads((tmp_path / "demo" / "sim.json").read_text())["ports"]
    return known


def test_another_terminal_finds_the_devices_of_the_demo(ports: dict[str, int]) -> None:
    sources = load_plant(MODEL).sources
    assert sources["press-1"].spec.port == ports["press-1"]
    assert sources["im-01"].spec.endpoint == f"opc.tcp://127.0.0.1:{ports['im-01']}"


@pytest.mark.usefixtures("ports")
def test_what_a_person_sets_goes_before_the_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACME_PRESS1", "4711")
    assert load_plant(MODEL).sources["press-1"].spec.port == 4711
