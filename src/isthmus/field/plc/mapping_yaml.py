"""The mapping that reads a generated block back: a machine type, ready to stand in a model."""

import json
import re
from collections.abc import Iterator, Sequence

from isthmus.field.plc.layout import Layout, Member, one_line
from isthmus.field.plc.target import ReadBack, Request

_PLAIN = re.compile(r"[a-z][a-z0-9_]*")
_NOT_TEXT = frozenset({"true", "false", "null"})
"""What YAML 1.2 takes for something else than a text."""


def document(request: Request, reads: Sequence[ReadBack], machine_type: str, title: str) -> str:
    """One machine type per way to read it; a model takes those of them that it uses."""
    several = len(reads) > 1
    parts = (
        _machine_type(request, read, f"{machine_type}-{read.kind}" if several else machine_type)
        for read in reads
    )
    head = f"# Reads what `isthmus plc` wrote for {title}.\n"
    return head + "---\n".join("\n".join([*lines, ""]) for lines in parts)


def _machine_type(request: Request, read: ReadBack, name: str) -> Iterator[str]:
    if read.remark:
        yield f"# {read.remark}"
    yield f"machine_type: {name}"
    yield f"kind: {read.kind}"
    yield f"blocks: [{', '.join(one.block for one in request.layouts)}]"
    if read.params:
        yield "params:"
        for param, given in read.params.items():
            yield f"  {param}: {{default: {_text(given.default)}, doc: {_text(given.doc)}}}"
    yield "map:"
    for one in request.layouts:
        for member in one.members:
            yield from _field(one, member, read)


def _field(layout: Layout, member: Member, read: ReadBack) -> Iterator[str]:
    key = f"{layout.block}.{member.field}"
    parts = [f"tag: {_text(read.tags[key])}"]
    if member.unit and not member.counts:
        parts.append(f"unit: {_text(member.unit)}")
    if member.counts:
        parts.append(f"counter: {{bits: {read.counter_bits}}}")
    if not member.values or read.names:
        yield f"  {key}: {{{', '.join(parts)}}}"
        return
    yield f"  {key}:"
    yield from (f"    {part}" for part in parts)
    yield "    codes:"
    for value in member.values:
        yield f"      {value.number}: {_name(value.name)}"


def _name(name: str) -> str:
    return name if _PLAIN.fullmatch(name) and name not in _NOT_TEXT else _text(name)


def _text(text: str) -> str:
    """A JSON text is a YAML text."""
    return json.dumps(one_line(text), ensure_ascii=False)
