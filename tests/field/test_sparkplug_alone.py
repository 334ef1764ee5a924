"""The short way of a Sparkplug value leads where the long one does, whatever came before."""

from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from isthmus.field.connectors.sparkplug.address import parse_address
from isthmus.field.connectors.sparkplug.metrics import Metrics
from isthmus.field.connectors.sparkplug.proto import messages
from isthmus.field.connectors.sparkplug.session import Message
from isthmus.field.connectors.sparkplug.topics import Topic
from isthmus.field.samples import Samples
from isthmus.flow.parcel import SAMPLES_SCHEMA

NODE = ("plant", "edge-1")
START_MS = 1_772_000_000_000
TAGS = ("a", "b", "c", "d;property=Quality", "e;index=0", "f", "f;property=Quality", "g;index=0")
TYPES = {"a": 10, "b": 31, "c": 4, "d": 10, "e": 31, "f": 10, "g": 10}

DOUBLES = [("double_value", 1.5), ("double_value", 2.5), ("double_value", float("nan"))]
TWO_DOUBLES = [("bytes_value", b"\0" * 16)]
FITTING = {
    "a": DOUBLES, "b": TWO_DOUBLES, "c": [("long_value", 7), ("int_value", 3)], "d": DOUBLES,
    "e": TWO_DOUBLES, "f": DOUBLES, "g": DOUBLES,
}  # fmt: skip
ODD = [*DOUBLES, ("long_value", 2**64 - 1), ("string_value", "RUN"), ("boolean_value", True), None]


def seldom(draw: st.DrawFn) -> bool:
    return draw(st.integers(0, 3)) == 3


@st.composite
def metrics(draw: st.DrawFn) -> Any:
    name = draw(st.sampled_from("aaabcdefg"))
    made = _named(name)
    found = draw(st.sampled_from(ODD if seldom(draw) else FITTING[name]))
    if found is not None:
        setattr(made, *found)
    if not seldom(draw):
        made.timestamp = START_MS + draw(st.integers(0, 8))
    if seldom(draw):
        made.datatype = draw(st.sampled_from([4, 9, 10, 31]))
    made.is_null = seldom(draw)
    made.is_historical = seldom(draw)
    if seldom(draw):
        made.properties.keys.append("Quality")
        made.properties.values.add(type=3, int_value=draw(st.sampled_from([0, 64, 192, 500])))
    if seldom(draw):
        made.ClearField("name")
    return made


def _named(name: str) -> Any:
    return messages().Metric(name=name, alias=ord(name))


happenings = st.tuples(
    st.sampled_from(["data", "data", "data", "born", "dead", "doubt", "alive"]),
    st.lists(metrics(), min_size=1, max_size=4),
    st.sampled_from([True, True, False]),
)


class Long(Metrics):
    """Every value goes the long way."""

    def _take_alone(self, *_: Any) -> bool:
        return False


def told(kind: type[Metrics], events: list[Any]) -> list[tuple[str, ...]]:
    """Rows as text: else NaN is not NaN, and 1 is True."""
    samples = Samples()
    node = kind(samples)
    for tag in TAGS:
        address = parse_address(f"plant/edge-1:{tag}")
        node.want(tag, address)
    born = [_named(name) for name in TYPES]
    for metric in born:
        metric.datatype = TYPES[metric.name]
        setattr(metric, *FITTING[metric.name][0])
    for number, (what, came, certain) in enumerate([("born", born, True), *events]):
        message = _message(came if what != "born" else [*came, *born], number)
        match what:
            case "data":
                node.data("", message, certain=certain)
            case "born":
                node.born("", message)
            case "dead":
                node.dead(None, message.received, message.received)
            case "doubt":
                node.doubt(message.received)
            case _:
                node.alive(message)
    columns = (getattr(samples, name) for name in SAMPLES_SCHEMA.names)
    return list(zip(*([repr(one) for one in column] for column in columns), strict=True))


def _message(came: list[Any], number: int) -> Message:
    payload = messages().Payload(timestamp=START_MS + number, metrics=came)
    return Message(Topic("NDATA", NODE), payload, (START_MS + number) * 1_000 + 5)


@example([("data", [messages().Metric(name="a", timestamp=START_MS + 9)], True)])
@settings(deadline=None, max_examples=200)
@given(st.lists(happenings, min_size=2, max_size=8))
def test_the_short_way_gives_what_the_long_one_gives(events):
    assert told(Metrics, events) == told(Long, events)
