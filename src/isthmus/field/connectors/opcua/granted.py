"""What the server made of our wishes, and in words what it did not grant."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from isthmus.field.connectors.opcua.spec import OpcuaSource

_MORE: Final = 1.01
"""Servers round."""


@dataclass(frozen=True)
class Revised:
    """Of the subscription; seconds."""

    publishing_interval: float
    keep_alive: float
    """After which the server speaks even when nothing has changed."""
    lifetime: float
    """After which it forgets the subscription if nobody asks for news."""


@dataclass
class Granted:
    """Of the monitored items: the worst of all."""

    sampling: float = 0.0
    """Seconds."""
    queue: int | None = None
    slower: int = 0
    """Items it samples more slowly than we asked."""
    shorter: int = 0
    """Items whose queue is shorter than we asked."""
    items: int = 0

    def note(self, sampling: float, queue: int, spec: OpcuaSource) -> None:
        self.items += 1
        self.sampling = max(self.sampling, sampling)
        self.queue = queue if self.queue is None else min(self.queue, queue)
        wish = _sampling(spec)
        self.slower += wish > 0 and sampling > wish * _MORE
        self.shorter += queue < spec.queue_size


def granted(revised: Revised, items: Granted) -> dict[str, str]:
    told = {
        "publishes every": _seconds(revised.publishing_interval),
        "keep-alive": _seconds(revised.keep_alive),
        "lifetime": _seconds(revised.lifetime),
    }
    if items.queue is not None:
        told |= {"samples every": _seconds(items.sampling), "queue": str(items.queue)}
    return told


def ungranted(spec: OpcuaSource, revised: Revised, items: Granted) -> Iterator[str]:
    if revised.publishing_interval > spec.interval * _MORE:
        yield (
            f"the server publishes every {_seconds(revised.publishing_interval)}, not every "
            f"{_seconds(spec.interval)} as `interval` asks"
        )
    if items.slower:
        yield (
            f"the server looks at {items.slower} of {items.items} nodes only every "
            f"{_seconds(items.sampling)}, not every {_seconds(_sampling(spec))}: what changes and "
            "changes back in between is not seen"
        )
    if items.shorter:
        yield (
            f"the server keeps only {items.queue} values of {items.shorter} of {items.items} nodes "
            f"between two publications, not {spec.queue_size}: more changes than that are lost. A "
            "shorter `interval` helps"
        )


def _sampling(spec: OpcuaSource) -> float:
    return spec.interval if spec.sampling is None else spec.sampling


def _seconds(seconds: float) -> str:
    return f"{seconds * 1000:g} ms" if seconds < 1 else f"{seconds:g} s"
