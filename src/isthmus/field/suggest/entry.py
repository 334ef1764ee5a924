"""An accepted proposal as the model's YAML has it: tag with parameters, unit, counter, codes."""

import re
from collections.abc import Mapping
from typing import Any, Final

from isthmus.field.suggest.proposals import Proposal
from isthmus.field.suggest.view import value_kind
from isthmus.model.spec.block import BlockField, CodeSystem

_WIDTH: Final = {"usint": 8, "byte": 8, "uint": 16, "word": 16, "udint": 32, "dword": 32,
                 "ulint": 64, "lword": 64}  # fmt: skip
_PACKML: Final = ("OPC 30050", "PackTags")


def entry(
    proposal: Proposal,
    field: BlockField,
    *,
    params: Mapping[str, str] | None = None,
    codes: Mapping[str | int, str] | None = None,
) -> dict[str, Any]:
    """What goes behind `block.field:` in a machine type.

    `params` are those of the machine the tag was seen at: where a value of theirs stands in the
    tag, the parameter takes its place, so that the mapping serves all machines of the type.
    """
    written: dict[str, Any] = {"tag": with_parameters(proposal.tag, params or {})}
    numeric = field.type in {"number", "integer", "counter"}
    if numeric and field.unit and proposal.unit not in {None, field.unit}:
        written["unit"] = proposal.unit
    if field.type == "counter":
        bits = counter_bits(proposal.type)
        written["counter"] = {"bits": bits} if bits else {}
    if codes:
        written["codes"] = dict(codes)
    return written


def with_parameters(tag: str, params: Mapping[str, str]) -> str:
    """`ns=2;s=IM07.State` with root IM07 is `ns=2;s={root}.State`; its own braces are doubled."""
    names = {value: name for name, value in params.items() if value}
    longest_first = "|".join(re.escape(value) for value in sorted(names, key=len, reverse=True))
    whole = rf"(?<![A-Za-z0-9])(?:{longest_first})(?![A-Za-z0-9])" if names else r"(?!)"
    return re.sub(
        rf"[{{}}]|{whole}",
        lambda found: f"{{{names[found[0]]}}}" if found[0] in names else found[0] * 2,
        tag,
    )


def counter_bits(written: str) -> int | None:
    """The width at which an unsigned counter rolls over; None where the type does not say."""
    name = written.lower()
    if name in _WIDTH:
        return _WIDTH[name]
    sized = re.fullmatch(r"uint(8|16|32|64)", name)
    return int(sized[1]) if sized else None


def standard_codes(proposal: Proposal, system: CodeSystem) -> dict[str | int, str]:
    """The codes a standard fixes: states of PackML, by number or by word; else none."""
    standards = [one.words[0] for one in proposal.reasons if one.kind == "standard"]
    if not any(each.startswith(_PACKML) for each in standards):
        return {}
    if not system.model.startswith("OPC 30050"):
        return {}
    if value_kind(proposal.type) == "text":
        return {name.capitalize(): name for name in system.values}
    return {code.code: name for name, code in system.values.items() if code.code is not None}
