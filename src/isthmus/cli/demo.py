"""`isthmus demo`: the reference company on this computer, devices, broker, ERP and platform."""

import asyncio
import json
import socket
import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from isthmus.base.clock import DAY, HOUR, Micros
from isthmus.cli.up import platform_program
from isthmus.runtime.open import demonstration
from isthmus.runtime.settings import Settings
from isthmus.runtime.supervisor import Program, StartError, Supervisor
from isthmus.testing.sim.run import BROKER
from isthmus.testing.sim.run import Settings as SimSettings

HISTORY = 3 * DAY
MODEL = Path(__file__).resolve().parents[3] / "examples" / "acme"
PORTS = {
    "im-01": "ACME_IM01", "im-02": "ACME_IM02", "im-03": "ACME_IM03",
    "line-2-gateway": "ACME_LINE2", "press-1": "ACME_PRESS1", "press-2": "ACME_PRESS2",
    "machining-agent": "ACME_AGENT", BROKER: "ACME_BROKER",
}  # fmt: skip
"""Source → the variable that carries its port into the model."""


def demo(
    speed: Annotated[float, typer.Option(min=0.1, max=3600, help="Plant seconds per second.")] = 1,
    seed: Annotated[int, typer.Option(help="Another seed, another company history.")] = 1,
    faults: Annotated[
        bool, typer.Option(help="Cut cables and restart devices now and then.")
    ] = True,
) -> None:
    """Start the reference company: two unlike plants, live, after three days of history."""
    console = Console(stderr=True, highlight=False)
    if not MODEL.exists():
        console.print("The reference company comes with the repository: clone it and `make run`.")
        raise typer.Exit(2)
    settings = Settings.of()
    folder = settings.data / "demo"
    folder.mkdir(parents=True, exist_ok=True)
    sim = sim_settings(settings, seed=seed, speed=speed, faults=faults)
    file = folder / "sim.json"
    sim.save(file)
    env = environment(sim)
    demonstration(settings.data).write_text(json.dumps(env))
    console.print(
        f"[dim]──[/] reference company of seed {sim.seed}, data in {_short(settings.data)}"
    )
    command = [sys.executable, "-m", "isthmus.cli.feed", str(MODEL), str(file)]
    history = Program("the history of the last days", command, env, once=True)
    devices = Program("the simulated plants", _devices(file), env, ready="ready")
    stages = [[history, devices], [platform_program(MODEL, env)]]
    supervisor = Supervisor(stages, console.print)
    try:
        asyncio.run(supervisor.run())
    except StartError as failed:
        console.print(str(failed), style="red", markup=False, emoji=False)
        raise typer.Exit(1) from None


def sim_settings(
    settings: Settings, *, seed: int, speed: float, faults: bool, now: Micros | None = None
) -> SimSettings:
    """The company's life begins three days before its first start, and goes on from there.

    A second start with the same data folder continues the same life; plant time never runs
    backwards, even after a start at `--speed 60`.
    """
    folder = settings.data / "demo"
    wall = time.time_ns() // 1_000 if now is None else now
    begun = folder / "begun.json"
    if begun.exists():
        known = json.loads(begun.read_text())
        begin, seed = known["start"], known["seed"]
        clock_start = max(wall, known["clock_start"] + _passed(known, wall))
    else:
        begin = (wall - HISTORY) // HOUR * HOUR
        clock_start = wall
    life = {
        "seed": seed, "start": begin, "clock_start": clock_start, "wall": wall, "speed": speed
    }  # fmt: skip
    begun.write_text(json.dumps(life))
    return SimSettings(
        seed=seed,
        start=begin,
        clock_start=clock_start,
        clock_wall=wall,
        speed=speed,
        ports=free_ports(list(PORTS)),
        erp_url=f"sqlite:///{folder / 'erp.sqlite'}",
        folder=str(folder),
        faults=faults,
    )


def _passed(known: dict[str, float], wall: Micros) -> Micros:
    """How far plant time may have come since the last start, at most."""
    return round((wall - known["wall"]) * known["speed"]) if known["speed"] > 1 else 0


def environment(sim: SimSettings) -> dict[str, str]:
    """What the model and the platform read: ports, the ERP's address, the company's clock."""
    return {
        **{variable: str(sim.ports[name]) for name, variable in PORTS.items()},
        "ACME_ERP_URL": sim.erp_url,
        "ISTHMUS_CLOCK": f"{sim.clock_start},{sim.clock_wall},{sim.speed}",
    }


def free_ports(names: list[str]) -> dict[str, int]:
    """Ports nobody uses now; all are held until the last is found, so that none comes twice."""
    held = [socket.socket() for _ in names]
    try:
        for held_socket in held:
            held_socket.bind(("127.0.0.1", 0))
        return {name: s.getsockname()[1] for name, s in zip(names, held, strict=True)}
    finally:
        for held_socket in held:
            held_socket.close()


def _devices(file: Path) -> list[str]:
    return [sys.executable, "-m", "isthmus.testing.sim.run", str(file)]


def _short(path: Path) -> str:
    try:
        return f"./{path.relative_to(Path.cwd())}"
    except ValueError:
        return str(path)
