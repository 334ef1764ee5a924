"""Bytes of a socket into whole lines, and lines into their fields; bounded, whatever comes."""

import re
from collections.abc import Callable
from typing import Final, NamedTuple

from isthmus.field.connectors.shdr.address import Form

_MULTILINE: Final = b"--multiline--"
_FIELDS: Final[dict[Form, int]] = {
    "value": 1, "set": 1, "message": 2, "series": 3, "condition": 5,
}  # fmt: skip
_UNESCAPED_PIPE: Final = re.compile(r"(?<!\\)\|")


class LineSplitter:
    """Collects bytes and gives whole lines; a multi-line text comes as one line."""

    def __init__(self, longest: int) -> None:
        self.too_long = 0
        """Lines that were skipped because they were longer than `longest` bytes."""
        self._longest = longest
        self._rest = b""
        self._skipping = False
        self._head: list[bytes] = []
        self._end = b""

    def feed(self, data: bytes) -> list[bytes]:
        *lines, self._rest = (self._rest + data).split(b"\n")
        whole: list[bytes] = []
        for line in lines:
            if self._skipping:
                self._skipping = False
            elif len(line) > self._longest:
                self.too_long += 1
            else:
                whole += self._join(line.removesuffix(b"\r"))
        if len(self._rest) > self._longest:
            self.too_long += not self._skipping
            self._skipping = True
            self._rest = b""
        return whole

    def _join(self, line: bytes) -> list[bytes]:
        if self._end:
            return self._continue(line)
        at = line.find(_MULTILINE)
        if at > 0 and line[at - 1 : at] == b"|":
            self._head, self._end = [line[:at]], line[at:]
            return []
        return [line]

    def _continue(self, line: bytes) -> list[bytes]:
        if line != self._end:
            self._head.append(line)
            if sum(map(len, self._head)) <= self._longest:
                return []
            self.too_long += 1
            self._head, self._end = [], b""
            return []
        head, *body = self._head
        self._head, self._end = [], b""
        return [head + b"\n".join(body)]


class Entry(NamedTuple):
    """A key with its fields; as many as its form has."""

    key: str
    form: Form
    fields: tuple[str, ...]


class Line(NamedTuple):
    """One line of data; `time` as it stands there, `@duration` removed."""

    time: str
    entries: list[Entry]


def parse_line(line: str, form_of: Callable[[str], Form]) -> Line | None:
    """Read a line of data; None if it is an asset's."""
    time, *rest = _fields(line)
    if rest and rest[0].startswith("@"):
        return None
    entries: list[Entry] = []
    at = 0
    while at < len(rest):
        form = form_of(rest[at])
        fields = rest[at + 1 : at + 1 + _FIELDS[form]]
        missing = _FIELDS[form] - len(fields)
        entries.append(Entry(rest[at], form, (*fields, *("",) * missing)))
        at += 1 + _FIELDS[form]
    return Line(time.partition("@")[0], entries)


def _fields(line: str) -> list[str]:
    r"""Split at `|`, of which `\|` is none: it stands for itself."""
    if "\\|" not in line:
        return [part.strip() for part in line.split("|")]
    return [_unquoted(part.strip()) for part in _UNESCAPED_PIPE.split(line)]


def _unquoted(text: str) -> str:
    if len(text) >= 2 and text[0] == text[-1] == '"':
        text = text[1:-1]
    return text.replace("\\|", "|")
