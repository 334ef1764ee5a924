"""Values as one line of YAML, quoted only where they would be read as something else."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from isthmus.model.masking import is_reference, is_variable
from isthmus.model.scalars import plain_value

_PLAIN: Final = re.compile(r"[A-Za-z0-9_](?:[\w./+-]| (?=[\w./+-]))*\Z", re.ASCII)
_OTHER_READERS: Final = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
"""Words that are booleans for programs that read YAML 1.1."""
_CLOCK: Final = re.compile(r"[\d.:_+-]+\Z")


@dataclass(frozen=True)
class Raw:
    """Text that is YAML already, such as `!secret sap`."""

    text: str


def flow(value: Any) -> str:
    """`{tag: "ns=2;s=A", codes: {0: stopped}}`."""
    match value:
        case Raw(text):
            return text
        case Mapping():
            return "{" + ", ".join(f"{flow(key)}: {flow(one)}" for key, one in value.items()) + "}"
        case str():
            return value if _is_plain(value) else _quoted(value)
        case Sequence():
            return "[" + ", ".join(map(flow, value)) + "]"
        case _:
            return json.dumps(value)


def referring(value: Any) -> Any:
    """`!secret press` is a reference, wherever it comes from."""
    match value:
        case Mapping():
            return {name: referring(one) for name, one in value.items()}
        case list():
            return [referring(one) for one in value]
        case str() if not is_variable(value) and is_reference(value):
            return Raw(value)
        case _:
            return value


def _quoted(text: str) -> str:
    """YAML takes no character that cannot be seen."""
    return "".join(
        each if each.isprintable() else f"\\U{ord(each):08X}"
        for each in json.dumps(text, ensure_ascii=False)
    )


def _is_plain(text: str) -> bool:
    return (
        _PLAIN.match(text) is not None
        and isinstance(plain_value(text), str)
        and _CLOCK.match(text) is None
        and text.lower() not in _OTHER_READERS
    )
