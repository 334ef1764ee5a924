"""Addresses and payloads of MQTT: pure functions, no broker."""

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.base.clock import parse_time
from isthmus.field.connectors.mqtt import MqttSource
from isthmus.field.connectors.mqtt.address import is_covered, parse_address, topic_matches
from isthmus.field.connectors.mqtt.payload import Subscribed, readings
from isthmus.field.json_path import json_path
from isthmus.field.json_samples import Reading, read_time
from isthmus.field.samples import Samples
from isthmus.field.values import BAD_DECODING, BAD_NO_DATA, add_value
from isthmus.flow.parcel import GOOD, UNCERTAIN

NOW = parse_time("2026-03-02T06:00:00Z")
LONGEST = 1024


def read(tag: str, payload: bytes | str, **options: Any) -> list[Reading]:
    raw = payload.encode() if isinstance(payload, str) else payload
    subscribed = Subscribed(tag, parse_address(tag))
    return readings([subscribed], raw, NOW, longest=LONGEST, **options)


def values(found: list[Reading]) -> list[tuple[Any, int]]:
    return [(reading.value, reading.quality) for reading in found]


@pytest.mark.parametrize(
    ("payload", "value", "quality"),
    [
        ("23.5", 23.5, GOOD),
        ("-7\n", -7, GOOD),
        ("true", True, GOOD),
        ("false", False, GOOD),
        ('"RUN"', "RUN", GOOD),
        ("RUN", "RUN", GOOD),
        ("007", "007", GOOD),
        ("NaN", "NaN", GOOD),
        ("12.5 °C", "12.5 °C", GOOD),
        ("null", None, BAD_NO_DATA),
        ("", None, BAD_NO_DATA),
        ("9" * 5_000, "9" * 1_000, BAD_DECODING),
        (b"\xff\xfe", "\\xff\\xfe", BAD_DECODING),
    ],
)
def test_plain_payload(payload: str | bytes, value: object, quality: int) -> None:
    assert values(read("cell/temp", payload)) == [(value, quality)]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("$.state", "RUN"),
        ("$.n", 3),
        ("$.on", True),
        ("$['odd key']", 1.5),
        ("$.list[1]", 20),
        ("$.list[-1]", 30),
        ("$.deep.er.still", "x"),
        ("$.parts[?@.name=='b'].count", 7),
    ],
)
def test_json_paths(path: str, value: object) -> None:
    message = {
        "state": "RUN",
        "n": 3,
        "on": True,
        "odd key": 1.5,
        "list": [10, 20, 30],
        "deep": {"er": {"still": "x"}},
        "parts": [{"name": "a", "count": 5}, {"name": "b", "count": 7}],
    }
    assert values(read(f"cell#{path}", json.dumps(message))) == [(value, GOOD)]


@pytest.mark.parametrize(
    "payload",
    ["{", "[1,2", '{"state": {"a": 1}}', '{"other": 1}', "17", '"RUN"', "[" * 1_000, "{" * 2_000],
)
def test_what_is_no_value_is_named_with_what_came(payload: str) -> None:
    ((value, quality),) = values(read("cell#$.state", payload))
    assert quality == BAD_DECODING
    assert str(value).replace(" ", "")[:10] in payload.replace(" ", "")


def test_absent_path_says_nothing_where_messages_are_partial() -> None:
    assert read("cell#$.state", '{"other": 1}', partial=True) == []
    assert values(read("cell#$.state", "{", partial=True)) == [("{", BAD_DECODING)]


def test_integers_that_a_double_cannot_hold_come_as_text() -> None:
    samples = Samples()
    for reading in read("cell#$.id", '{"id": 9007199254740993}'):
        add_value(samples, reading.tag, reading.value, NOW, NOW, reading.quality)
    table = samples.take()
    assert table is not None
    assert (table["number"].to_pylist(), table["text"].to_pylist()) == (
        [None],
        ["9007199254740993"],
    )


def test_json_nan_passes_as_number_for_shape_to_judge() -> None:
    (reading,) = read("cell#$.v", '{"v": NaN}')
    assert math.isnan(float(str(reading.value)))
    assert reading.quality == GOOD


def test_rows_of_one_message_have_their_own_times() -> None:
    tag = "cell#$.v;rows=$.samples[*];time=$.t;format=ms"
    message = {"samples": [{"t": NOW // 1000 - 20, "v": 1}, {"t": NOW // 1000 - 10, "v": 2}]}
    assert [(r.value, r.device_time) for r in read(tag, json.dumps(message))] == [
        (1, NOW - 20_000),
        (2, NOW - 10_000),
    ]


def test_rows_without_a_time_take_that_of_the_message() -> None:
    tag = "cell#$.v;rows=$.samples[?@.n=='temp'];time=$.t;format=s"
    message = {"t": NOW // 1_000_000, "samples": [{"n": "temp", "v": 1}, {"n": "load", "v": 2}]}
    assert [(r.value, r.device_time, r.quality) for r in read(tag, json.dumps(message))] == [
        (1, NOW, GOOD)
    ]


@pytest.mark.parametrize(
    ("stamp", "time_format"),
    [
        ("2026-03-02T06:00:00Z", "iso"),
        ("2026-03-02T07:00:00.000+01:00", "iso"),
        (NOW / 1e6, "s"),
        (NOW // 1000, "ms"),
        (NOW, "us"),
        (NOW * 1000, "ns"),
        (str(NOW // 1000), "ms"),
    ],
)
def test_times(stamp: object, time_format: Any) -> None:
    assert read_time(stamp, time_format) == NOW


@pytest.mark.parametrize(
    "stamp", ['"2026-03-02T06:00:00"', '"soon"', "null", "true", "1e999", "NaN", "[]", "-1", "{}"]
)
@pytest.mark.parametrize("time_format", ["iso", "ms"])
def test_unreadable_time_keeps_the_value_as_uncertain(stamp: str, time_format: str) -> None:
    tag = f"cell#$.v;time=$.t;format={time_format}"
    assert read(tag, f'{{"v": 1, "t": {stamp}}}') == [Reading(tag, 1, NOW, UNCERTAIN)]


@settings(deadline=None)
@given(
    st.binary(max_size=200)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from("vtx") | st.text(), inner),
    ).map(lambda value: json.dumps(value).encode())
)
def test_whatever_comes_gives_one_sample_per_tag(payload: bytes) -> None:
    tags = ["cell", "cell#$.v", "cell#$.v;time=$.t", "cell#$.v;time=$.t;format=ns", "cell#$..v"]
    subscribed = [Subscribed(tag, parse_address(tag)) for tag in tags]
    found = readings(subscribed, payload, NOW, longest=LONGEST)
    assert [reading.tag for reading in found] == tags
    samples = Samples()
    for reading in found:
        add_value(samples, reading.tag, reading.value, reading.device_time, NOW, reading.quality)
    table = samples.take()
    assert table is not None
    table.validate(full=True)
    assert table.num_rows == len(tags)


@pytest.mark.parametrize(
    ("tag", "problem"),
    [
        ("", "empty"),
        ("cell#state", "starts with `#\\$`"),
        ("a/#/b", "whole last level"),
        ("a/b+", "whole level"),
        ("cell#$.", "no JSONPath"),
        ("cell#$.a b", "no JSONPath"),
        ("cell#$.a;format=min", "there are iso"),
        ("cell#$.a;time=$.t;time=$.u", "twice"),
        ("cell;time=$.t", "needs a path"),
        ("$share/group/cell", "shared subscription"),
    ],
)
def test_wrong_addresses_say_what_is_wrong(tag: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        MqttSource.parse_tag(tag)


@pytest.mark.parametrize(
    ("name", "topic", "expected"),
    [
        ("a/b", "a/b", True),
        ("a/+", "a/b", True),
        ("a/+", "a/b/c", False),
        ("a/+", "a", False),
        ("a/#", "a", True),
        ("a/#", "a/b/c", True),
        ("#", "a", True),
        ("#", "$SYS/x", False),
        ("+/x", "$SYS/x", False),
        ("$SYS/#", "$SYS/x", True),
        ("+", "", True),
    ],
)
def test_topic_filters(name: str, topic: str, *, expected: bool) -> None:
    assert topic_matches(name, topic) is expected


LEVEL = st.sampled_from(["a", "b", "+"])
FILTER = st.tuples(st.lists(LEVEL, min_size=1, max_size=3), st.booleans()).map(
    lambda parts: "/".join(parts[0] + (["#"] if parts[1] else []))
)
TOPIC = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=4).map("/".join)


@settings(deadline=None)
@given(FILTER, FILTER, TOPIC)
def test_a_covered_filter_matches_nothing_that_the_other_misses(
    narrow: str, wide: str, topic: str
) -> None:
    if is_covered(narrow, wide) and topic_matches(narrow, topic):
        assert topic_matches(wide, topic)


def test_dotted_paths_need_no_library() -> None:
    assert json_path("$.a[0]['b c'].d").steps == ("a", 0, "b c", "d")
    assert json_path("$.a[*]").steps is None
