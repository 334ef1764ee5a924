"""What comes in over HTTP and what its sender is told."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Post:
    """One whole request."""

    path: str
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes


@dataclass(frozen=True)
class Reply:
    """A status, and a line for whoever reads the sender's log."""

    status: int
    text: str
    headers: Mapping[str, str] = field(default_factory=dict)
