"""What a person declares of an MTConnect agent, and how its tags are written."""

import re
from dataclasses import dataclass
from typing import ClassVar, Final, Literal

from pydantic import Field, SecretStr

from isthmus.field.connectors.mtconnect.asset_tags import AssetTag, parse_asset
from isthmus.field.mtconnect.values import split_elements
from isthmus.model.spec.site import SourceSpec
from isthmus.model.spec.words import Seconds, host_and_port

_NAME: Final = re.compile(r"[^\s/\[\]]+")


@dataclass(frozen=True)
class MtconnectTag:
    """`device/item[element]`: the data item's id or name, where needed of which device."""

    item: str
    device: str = ""
    elements: tuple[str, ...] = ()


def parse_address(tag: str) -> MtconnectTag:
    """Read a tag; ValueError says what is wrong with it."""
    name, elements = split_elements(tag)
    device, slash, item = name.rpartition("/")
    if not _NAME.fullmatch(item) or (slash and not device.strip()):
        raise ValueError(f"`{tag}` is no data item: write its id or name, or `device/name`")
    return MtconnectTag(item, device, elements)


class MtconnectSource(SourceSpec):
    """One MTConnect agent."""

    counts_requests: ClassVar[bool] = True
    intake_connections: ClassVar[int] = 2  # the stream, and assets that are asked for meanwhile

    kind: Literal["mtconnect"] = "mtconnect"
    url: str = Field(pattern=r"^https?://[^\s?#]+$", max_length=1000)
    """Address of the agent, such as `http://10.1.4.7:5000`."""
    device: str = Field(default="", max_length=200, pattern=r"^[^/?#]*$")
    """Name or uuid of the one device that is asked for; all of the agent if not given."""
    interval: Seconds = 0.25
    """The agent sends what is new at most so often."""
    heartbeat: Seconds = 5.0
    """The agent sends at least so often, even if nothing is new."""
    timeout: Seconds = 5.0
    """An answer that takes longer means that the agent is lost; in the stream it counts on top of
    the heartbeat."""
    user: str | None = None
    password: SecretStr | None = None
    """For an agent behind a proxy that asks for them."""
    ca: str | None = None
    """Certificate authority (PEM) of an `https` agent; the system's own where it is not given."""
    max_document_mb: int = Field(default=64, ge=1, le=1024)
    """A longer answer is not read."""

    @property
    def reaches(self) -> str | None:
        return host_and_port(self.url)

    @classmethod
    def parse_tag(cls, tag: str) -> MtconnectTag | AssetTag:
        return parse_asset(tag) or parse_address(tag)
