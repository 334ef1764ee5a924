"""What comes of one read request; knows no driver."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Refusal:
    """The device, or the gateway before it, answered with an exception."""

    code: int


@dataclass(frozen=True)
class NoAnswer:
    """Nothing that could be used came in time."""

    broken: bool
    """Something came, with a wrong checksum or not of this request."""


Answer = Sequence[int] | Refusal | NoAnswer
