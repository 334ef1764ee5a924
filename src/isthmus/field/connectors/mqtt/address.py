"""The address of an MQTT tag: `topic#$.path;rows=$.list[*];time=$.ts;format=ms`."""

from dataclasses import dataclass
from typing import Final

from isthmus.field.json_samples import JsonAddress, places, split_options

_LONGEST_TOPIC: Final = 65_535
"""Bytes, by MQTT."""


@dataclass(frozen=True, kw_only=True)
class Address(JsonAddress):
    """Where in which messages a tag's values are."""

    topic: str
    """A topic or a topic filter with `+` and `#`."""


def parse_address(tag: str) -> Address:
    """Read a tag; ValueError says what is wrong with it."""
    head, options = split_options(tag)
    topic, marker, path = head.partition("#$")
    _check_topic(topic)
    if not marker:
        if options:
            raise ValueError(f"`{options[0]}` needs a path, such as `{topic}#$.value`")
        return Address(topic=topic)
    return Address(topic=topic, **places("$" + path, options))


def _check_topic(topic: str) -> None:
    if not topic:
        raise ValueError("the topic is empty")
    if len(topic.encode()) > _LONGEST_TOPIC or "\0" in topic:
        raise ValueError("the topic is too long or contains a zero character")
    if topic.startswith("$share/"):
        raise ValueError("a shared subscription gives each value to only one of its readers")
    levels = topic.split("/")
    for position, level in enumerate(levels, start=1):
        if "#" in level and (level != "#" or position < len(levels)):
            raise ValueError(
                f"`#` in `{topic}`: a JSON path starts with `#$`, such as `graz/cell-1#$.state`; "
                "as a wildcard it must be the whole last level"
            )
        if "+" in level and level != "+":
            raise ValueError(f"`+` in `{topic}` must be a whole level, such as `graz/+/state`")


def has_wildcard(topic_filter: str) -> bool:
    """Whether it is more than the name of one topic."""
    return "+" in topic_filter or "#" in topic_filter


def topic_matches(topic_filter: str, topic: str) -> bool:
    """Whether a broker sends this topic to a subscriber of the filter (MQTT 3.1.1, 4.7)."""
    if topic.startswith("$") and topic_filter[0] in "+#":
        return False
    wanted, levels = topic_filter.split("/"), topic.split("/")
    for position, level in enumerate(wanted):
        if level == "#":
            return True
        if position >= len(levels) or level not in ("+", levels[position]):
            return False
    return len(wanted) == len(levels)


def is_covered(topic_filter: str, by: str) -> bool:
    """Whether every topic of one filter also matches another: two subscriptions, one message."""
    if topic_filter == by or topic_filter[0] == "$":
        return False
    narrow, wide = topic_filter.split("/"), by.split("/")
    for position, level in enumerate(wide):
        if level == "#":
            return True
        if position >= len(narrow) or narrow[position] == "#":
            return False
        if level not in ("+", narrow[position]):
            return False
    return len(narrow) == len(wide)
