"""`python -m isthmus.runtime.serve FOLDER`: the platform process that `isthmus up` watches."""

import asyncio
import logging
import os
import signal
import socket
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn

from isthmus.base.clock import Micros
from isthmus.base.german import Language
from isthmus.base.problem import ProblemsError
from isthmus.base.telemetry import configure_logging
from isthmus.flow.contract import Full, OvertakenError
from isthmus.flow.log_file import BusyError
from isthmus.flow.parcel import DamagedError
from isthmus.model.changes import changes
from isthmus.model.plan_text import plan_text
from isthmus.model.report import Format
from isthmus.runtime.control import Answer, ControlServer
from isthmus.runtime.memory import few_arenas
from isthmus.runtime.open import clock, load_plant, note_model
from isthmus.runtime.platform import EmbeddedPlatform
from isthmus.runtime.settings import Settings, SettingsError
from isthmus.runtime.supervisor import orphaned
from isthmus.web.app import create_app
from isthmus.web.auth import Accounts, accounts_folder, setup_link

READY = "isthmus is ready"


async def serve(folder: Path, settings: Settings) -> None:
    """Until SIGTERM or SIGINT."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    listener = _listen(settings)
    settings.data.mkdir(parents=True, exist_ok=True)
    platform = EmbeddedPlatform(load_plant(folder), settings, clock())
    note_model(settings, folder)
    accounts = Accounts(accounts_folder(settings.data))
    began = time.monotonic()
    await platform.open()
    server = _server(platform, accounts, settings)
    control = ControlServer(settings.control, partial(answer, platform))
    await control.start()
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started and not serving.done():  # noqa: ASYNC110 - uvicorn has no event
        await asyncio.sleep(0.02)
    if not serving.done():
        await platform.start()
        _greet(accounts, settings, time.monotonic() - began)
        ends = {serving, *map(asyncio.create_task, (stopping.wait(), orphaned()))}
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    server.should_exit = True
    await serving
    await control.close()
    await platform.stop()
    accounts.close()


class PortError(Exception):
    """The pages cannot be served where they should; the text says what to do."""


def _listen(settings: Settings) -> socket.socket:
    """Before anything is opened: whoever starts a second platform hears of it at once."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family)
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)
        raise PortError(
            f"{settings.host}:{settings.port} cannot be used: {why}. Does another platform run?"
            " Else set ISTHMUS_PORT or ISTHMUS_HOST."
        ) from error


def _server(platform: EmbeddedPlatform, accounts: Accounts, settings: Settings) -> uvicorn.Server:
    config = uvicorn.Config(
        create_app(platform, accounts), host=settings.host, port=settings.port,
        log_level="warning", access_log=False, timeout_graceful_shutdown=2,
        server_header=False, ws_max_size=1 << 16,
    )  # fmt: skip
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]  # we have ours
    return server


def _greet(accounts: Accounts, settings: Settings, seconds: float) -> None:
    address = f"http://{settings.host}:{settings.port}"
    link = setup_link(accounts, address)
    lines = [
        "",
        f"  Isthmus is ready after {seconds:.1f} s:  {address}",
        *([f"  First start: make your account here (once):\n    {link}"] if link else []),
        "  Stop with Ctrl-C. Next: docs/tutorial/first-half-hour.md",
        "",
        READY,
    ]
    print("\n".join(lines), flush=True)  # noqa: T201 - to the person who started us


async def answer(platform: EmbeddedPlatform, question: Any) -> Answer:
    """What a command asks of the running platform through its folder."""
    match question:
        case {"do": "apply", "folder": str(folder)}:
            try:
                before = platform.plant
                done = await platform.apply(Path(folder))
                return {"changes": done, "text": plan_text(changes(before, platform.plant), "text")}
            except ProblemsError as error:
                return {"problems": [problem.as_dict() for problem in error.problems]}
        case {
            "do": "plan",
            "folder": str(folder),
            "format": ("text" | "json") as form,
            "language": ("en" | "de") as language,
        }:
            return await _plan(platform, Path(folder), form, language)
        case {"do": "replay", "source": str(name), "from": int(start), "to": int(end), "dry": dry}:
            return await _replay(platform, name, (start, end), dry=bool(dry))
        case {"do": "health"}:
            return dict(platform.health())
        case _:
            return {"error": "unknown question"}


async def _plan(
    platform: EmbeddedPlatform, folder: Path, form: Format, language: Language
) -> Answer:
    try:
        after = await asyncio.to_thread(load_plant, folder)
    except ProblemsError as error:
        return {"problems": [problem.as_dict() for problem in error.problems]}
    return {"plan": plan_text(changes(platform.plant, after), form, language)}


async def _replay(
    platform: EmbeddedPlatform, source: str, window: tuple[Micros, Micros], *, dry: bool
) -> Answer:
    try:
        return (await platform.replay(source, *window, dry_run=dry)).as_dict()
    except (LookupError, OvertakenError, Full) as refused:
        return {"error": str(refused)}


def main(arguments: list[str]) -> int:
    try:
        settings = Settings.of()
    except SettingsError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 2
    configure_logging(settings.log, "text", sys.stderr)
    few_arenas()
    for noisy in ("asyncua", "pymodbus", "httpx", "mqtt"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    try:
        asyncio.run(serve(Path(arguments[0]), settings))
    except (ProblemsError, PortError, BusyError, DamagedError) as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
