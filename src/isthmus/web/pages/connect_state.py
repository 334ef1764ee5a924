"""What the address of the mapping page says: which machine, and a person's decisions."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from isthmus.model.plant import Plant
from isthmus.web.scope import Scope
from isthmus.web.workbench import Choice, Target

TAG: Final = "f."
OTHER: Final = "o."
CODES: Final = "c."
PARAM: Final = "p."
BLOCK: Final = "b."
NONE: Final = ""
BY_HAND: Final = "*"
"""Chosen where the tag is in the text field beside it."""

State = Mapping[str, str]


class CodesError(ValueError):
    """The text is no list of codes; it is the part that is wrong."""


@dataclass(frozen=True)
class Decisions:
    """What was chosen, and what of it cannot be read."""

    choices: tuple[Choice, ...]
    wrong: Mapping[str, str]
    """`block.field` → the part of its codes that is none."""


def target_of(plant: Plant, scope: Scope, state: State, *, known: bool) -> Target | None:
    """None where the page has still to ask which machine; `known`: its source is."""
    blocks = tuple(name for name in plant.blocks if state.get(f"{BLOCK}{name}"))
    under = state.get("under", "")
    if scope.path in plant.machines:
        machine = plant.machines[scope.path]
        return Target(machine.source, scope.path, blocks=blocks, under=under)
    source, new_type = state.get("sel", ""), state.get("newtype", "").strip()
    line, name = state.get("line", ""), state.get("name", "").strip()
    type_ = new_type or state.get("type", "")
    if not known or not (line and name and type_):
        return None
    params = {key.removeprefix(PARAM): text for key, text in state.items() if key.startswith(PARAM)}
    return Target(source, "", line, name, type_, bool(new_type), params, blocks=blocks, under=under)


def decisions(state: State) -> Decisions:
    choices, wrong = [], {}
    for name, given in state.items():
        key = name.removeprefix(TAG)
        tag = state.get(f"{OTHER}{key}", "").strip() if given == BY_HAND else given
        if not name.startswith(TAG) or tag == NONE:
            continue
        try:
            codes = codes_of(state.get(f"{CODES}{key}", ""))
        except CodesError as error:
            wrong[key] = str(error)
            continue
        choices.append(Choice(key, tag, codes))
    return Decisions(tuple(choices), wrong)


def codes_of(text: str) -> dict[str | int, str]:
    """`0: stopped, 3 = execute`: what the machine says → the name of the block."""
    found: dict[str | int, str] = {}
    for part in filter(None, (one.strip() for one in re.split(r"[,;\n]", text))):
        code, sign, name = re.fullmatch(r"(.*?)\s*([:=]?)\s*(\w*)", part, re.DOTALL).groups()  # type: ignore[union-attr]
        if not (code and sign and name):
            raise CodesError(part)
        found[int(code) if code.removeprefix("-").isdecimal() else code.strip("\"'")] = name
    return found
