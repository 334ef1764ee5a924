"""The contract of a target: what it is given, and what it makes of it; all of it pure.

A target is a module of this folder with a constant `TARGET`, and a line in `registry.py`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal

from isthmus.base.german import Language
from isthmus.base.problem import Problem
from isthmus.field.plc.layout import Layout, Member, Scalar, Value
from isthmus.field.plc.names import NameRules

VALUES: Final = "values/"
Access = Literal["fixed", "optimised"]


@dataclass(frozen=True)
class Settings:
    """What a person may choose."""

    enterprise: str = "company"
    """Part of what must be unique in the world: namespaces and ids."""
    language: Language = "en"
    instance: str = "machine"
    """What the data is called in the controller."""
    access: Access = "fixed"
    """Of a Siemens data block."""
    db: int = 10
    """Number of a Siemens data block, which the offsets need."""


@dataclass(frozen=True)
class Request:
    """Checked blocks: every name is one the target can have."""

    layouts: tuple[Layout, ...]
    settings: Settings
    prefix: str
    names: Mapping[str, str]
    """`block` and `block.field` → what they are called in the controller;
    `values/code_system.value` → what the value is called, where values have names there."""

    def name(self, layout: Layout, member: Member) -> str:
        return self.names[f"{layout.block}.{member.field}"]

    def block_name(self, layout: Layout) -> str:
        return self.names[layout.block]

    def path(self, layout: Layout, member: Member) -> str:
        """From the variable of all blocks to the member."""
        return f"{self.block_name(layout)}.{self.name(layout, member)}"

    def type_name(self, layout: Layout) -> str:
        return f"{self.prefix}{layout.block}"

    @property
    def whole_name(self) -> str:
        """Of the type that holds all blocks."""
        return f"{self.prefix}isthmus_{self.settings.instance}"

    def tags(self, tag: Callable[[Layout, Member], str]) -> dict[str, str]:
        """`block.field` → tag, for every field."""
        return {
            f"{one.block}.{member.field}": tag(one, member)
            for one in self.layouts
            for member in one.members
        }

    def value_name(self, member: Member, value: Value) -> str:
        return self.names[f"{VALUES}{member.enumeration}.{value.name}"]


@dataclass(frozen=True)
class File:
    """One file to write; text is UTF-8."""

    name: str
    text: str
    windows: bool = False
    """For programs of Windows only: byte order mark and carriage returns."""

    @property
    def content(self) -> bytes:
        if not self.windows:
            return self.text.encode()
        return self.text.replace("\n", "\r\n").encode("utf-8-sig")


@dataclass(frozen=True)
class Given:
    """A parameter that machines fill in."""

    default: str
    doc: str


@dataclass(frozen=True)
class ReadBack:
    """How one kind of source reads what the target holds."""

    kind: str
    tags: Mapping[str, str]
    """`block.field` → tag."""
    params: Mapping[str, Given] = field(default_factory=lambda: MappingProxyType({}))
    names: bool = False
    """Enumerations come as names, not as numbers."""
    counter_bits: int = 32
    remark: str = ""


@dataclass(frozen=True)
class Target:
    """One kind of controller or description."""

    title: str
    rules: NameRules
    files: Callable[[Request], tuple[File, ...]]
    read_back: Callable[[Request], tuple[ReadBack, ...]]
    prefix: str = ""
    """Of the names of types."""
    check: Callable[[Request], Iterable[Problem]] = lambda _: ()
    """What stands against all blocks together."""
    longest_text: int = 100_000
    why_longest: str = ""
    accesses: frozenset[Access] = frozenset({"fixed"})
    cautions: Mapping[Scalar, str] = field(default_factory=lambda: MappingProxyType({}))
    """Types that not every controller of the target has, and what to do about it."""
    named_values: bool = False
    """Names of enumeration values are names of the program."""
