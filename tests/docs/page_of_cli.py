"""The reference page of the commands, made from the commands."""

from collections.abc import Iterator
from enum import EnumType
from pathlib import Path
from typing import Any, Final, get_args

from tests.docs.pages import cell, made_from

from isthmus.cli import COMMANDS, load

_COMPLETION: Final = {"install_completion", "show_completion"}
"""Typer's own; a command has them only when it is called alone."""


_HEAD: Final = """\
# Commands

`isthmus COMMAND --help` says the same. Every command ends with 0 when it did what it was asked,
with 1 when something is wrong (the model, a source, an answer), with 2 when it was called wrongly
or nothing runs that could answer. Which data folder is meant, and where pages are served, say
[settings](settings.md).

| command | |
|---|---|"""


def cli_page() -> str:
    lines = [made_from("the commands"), _HEAD]
    lines += [f"| [`{name}`](#isthmus-{name}) | {cell(text)} |" for name, text in COMMANDS.items()]
    lines.append("")
    for name in COMMANDS:
        lines += _command(f"isthmus {name}", load(name), level=2)
    return "\n".join(lines)


def _command(name: str, command: Any, level: int) -> Iterator[str]:
    parameters = [one for one in command.params if one.name not in _COMPLETION]
    yield f"{'#' * level} {name}"
    yield ""
    if parameters:
        yield from ("```text", f"{name} {_usage(parameters)}".rstrip(), "```", "")
    yield from ((command.help or "").strip().replace("\n# ", "\n    # "), "")
    if parameters:
        yield from ("| | default | |", "|---|---|---|")
        yield from (_parameter(one) for one in parameters)
        yield ""
    for below in getattr(command, "commands", {}).values():
        yield from _command(f"{name} {below.name}", below, level + 1)


def _usage(parameters: list[Any]) -> str:
    arguments = [one for one in parameters if not one.opts[0].startswith("-")]
    names = [one.name.upper() if one.required else f"[{one.name.upper()}]" for one in arguments]
    needed = [f"{one.opts[0]} …" for one in parameters if one not in arguments and one.required]
    optional = any(one not in arguments and not one.required for one in parameters)
    return " ".join([*names, *needed, *(["[OPTIONS]"] if optional else [])])


def _parameter(one: Any) -> str:
    argument = not one.opts[0].startswith("-")
    names = [one.name.upper()] if argument else [*one.opts, *one.secondary_opts]
    shown = " / ".join(f"`{name}`" for name in names)
    default = "**required**" if one.required else _default(one.default)
    words = (one.help or "").rstrip()
    if listed := choices(one.type_descriptor.annotation):
        words = f"{words} One of {', '.join(f'`{choice}`' for choice in listed)}.".strip()
    return f"| {shown} | {default} | {cell(words)} |"


def choices(kind: Any) -> list[str]:
    """What an option takes, where that is a few words."""
    if isinstance(kind, EnumType):
        return [str(one.value) for one in kind]  # type: ignore[attr-defined]
    return [one for one in get_args(kind) if isinstance(one, str)]


def _default(value: Any) -> str:
    value = getattr(value, "value", value)
    if value is None or value == "":
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Path):
        return "this folder" if value == Path() else f"`{value}`"
    return f"`{value}`"
