"""What a person declares of an MTConnect adapter."""

from typing import Literal

from pydantic import Field

from isthmus.field.connectors.shdr.address import ShdrTag, parse_address
from isthmus.model.spec.site import SourceSpec
from isthmus.model.spec.words import Host, Port, Seconds


class ShdrSource(SourceSpec):
    """The socket of one MTConnect adapter; it sends changes by itself, `interval` says nothing."""

    kind: Literal["shdr"] = "shdr"
    host: Host
    port: Port = 7878
    device: str = Field(default="", max_length=200)
    """Where the adapter serves several devices (`device:key`): the one that is meant."""
    devices: str | None = None
    """An MTConnect devices file: which keys are conditions, messages, series and sets, and under
    which names. Without it the tags say so (`condition:system`)."""
    first_value: Seconds = 1.0
    """A tag that did not come counts as waiting after so much silence."""
    timeout: Seconds = 10.0
    """An adapter says something at once: one that is silent so long after connecting is lost."""
    max_line_kb: int = Field(default=1024, ge=1, le=65_536)
    """A longer line is skipped and recorded as a gap."""

    @property
    def reaches(self) -> str | None:
        return f"{self.host}:{self.port}".lower()

    @classmethod
    def parse_tag(cls, tag: str) -> ShdrTag:
        return parse_address(tag)
