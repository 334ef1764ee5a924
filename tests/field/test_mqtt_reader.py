"""The short ways to a message's values lead where the long one does."""

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic_core import from_json

from isthmus.base.clock import Micros, parse_time
from isthmus.field.connectors.mqtt.address import parse_address
from isthmus.field.connectors.mqtt.payload import Subscribed
from isthmus.field.connectors.mqtt.reader import Manner, Reader, reader
from isthmus.field.samples import Samples
from isthmus.flow.parcel import SAMPLES_SCHEMA

NOW = parse_time("2026-03-02T06:00:00Z")
COLUMNS = SAMPLES_SCHEMA.names

leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([2**53, 2**53 + 1, -(2**53) - 1, 10**30])
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["2026-03-02T06:00:00+01:00", NOW, NOW // 1_000, "\ud800"])
)
documents = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["v", "w", "t", "0"]), inner, max_size=4)
    ),
)
plain = st.sampled_from(["007", "1.10", "1e5", "23.5 ", "RUN", "", "\ufeff5", "nan", "5e-324"])
numbers = st.integers().map(str) | st.floats().map(str)
messages = st.dictionaries(st.sampled_from(["v", "w", "t"]), leaves | documents, min_size=1)
written = (documents | messages).map(json.dumps) | messages.map(
    lambda one: json.dumps(one, indent=1)
)


@st.composite
def texts(draw: st.DrawFn) -> bytes:
    """Mostly JSON and numbers, whole or with a place where something else got in."""
    text = draw(written | plain | numbers).encode("utf-8", "surrogatepass")
    if draw(st.integers(0, 3)):
        return text
    at = draw(st.integers(0, len(text)))
    more = draw(st.binary(max_size=2) | st.sampled_from([b",", b'"', b"\\u", b"0", b"e", b"\x00"]))
    return text[:at] + more + text[at + draw(st.integers(0, 2)) :]


payloads = texts() | st.binary(max_size=20)
tags = st.lists(
    st.sampled_from([
        "cell", "cell#$", "cell#$.v", "cell#$.v.w", "cell#$.w[0]", "cell#$.v[-1].t", "cell#$['0']",
        "cell#$.v;time=$.t", "cell#$.w;time=$.t", "cell#$.w;time=$.v.t;format=ms",
        "cell#$.v;time=$.t;format=us", "cell#$.v;rows=$.w[*]", "cell#$..v", "cell#$.v;time=$..t",
    ]),
    max_size=4,
    unique=True,
)  # fmt: skip

TWO_TIMES = ["cell#$.v;time=$.t;format=ms", "cell#$.w;time=$.t;format=us"]


def columns(way: Reader, payload: bytes, received: Micros = NOW) -> dict[str, list[str]]:
    """As text: else NaN is not NaN, and 1 is True."""
    samples = Samples()
    way.take(payload, received, samples)
    return {name: [repr(one) for one in getattr(samples, name)] for name in COLUMNS}


@settings(deadline=None, max_examples=300)
@given(tags, payloads, st.builds(Manner, st.sampled_from([8, 1024]), st.booleans()))
@example(["cell"], b"9" * 9, Manner(8))
@example(["cell#$.v"], b'{"v": null}', Manner(1024))
@example(TWO_TIMES, b'{"v": 1, "w": 2, "t": 1700000000000000}', Manner(1024))
@example(["cell#$.v"], b'{"v":1}  ', Manner(8))
@example(["cell#$.v"], b'{"v": "\\ud800"}', Manner(1024))
@example(["cell#$.v"], b'{"v": 1, "w": ' + b"[" * 300 + b"]" * 300 + b"}", Manner(1024))
@example(["cell#$.v"], b'{"v": 1, "w": ' + b"9" * 5_000 + b"}", Manner(8_192))
@example(["cell#$.v", "cell#$.v.w"], b'{"v": {"w": 1}, "v": 2}', Manner(1024))
def test_every_way_gives_what_the_long_one_gives(wanted, payload, manner):
    subscribed = [Subscribed(tag, parse_address(tag)) for tag in wanted]
    shortest, long_one = reader(subscribed, manner), Reader(subscribed, manner)
    assert columns(shortest, payload) == columns(long_one, payload)


@settings(deadline=None, max_examples=300)
@given(payloads)
def test_the_quick_decoder_takes_nothing_that_is_no_json_and_says_the_same(payload):
    try:
        quick = from_json(payload)
    except ValueError:
        return  # the long way asks the other one
    assert repr(quick) == repr(json.loads(payload.decode()))


@pytest.mark.parametrize(
    ("wanted", "short"),
    [
        (["cell"], True),
        (["cell#$.v"], True),
        (["cell#$.v", "cell#$.w[0];time=$.t"], True),
        (["cell", "cell#$.v"], False),
        (["cell#$..v"], False),
        (["cell#$.v;time=$..t"], False),
        (["cell#$.v;rows=$.w[*]"], False),
        ([], False),
    ],
)
def test_short_ways_are_for_a_number_and_for_plain_paths(wanted: list[str], *, short: bool) -> None:
    made = reader([Subscribed(tag, parse_address(tag)) for tag in wanted], Manner(1024))
    assert (type(made) is not Reader) is short


def test_one_time_of_many_values_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from isthmus.field.connectors.mqtt import reader as module

    read = []

    def counting(*arguments):
        read.append(arguments)
        return NOW - 7, 0

    monkeypatch.setattr(module, "device_time", counting)
    wanted = [f"cell#$.v{number};time=$.t" for number in range(5)]
    made = reader([Subscribed(tag, parse_address(tag)) for tag in wanted], Manner(1024))
    message = {"t": "now"} | {f"v{number}": number / 2 for number in range(5)}
    found = columns(made, json.dumps(message).encode())
    assert found["device_time"] == [repr(NOW - 7)] * 5
    assert len(read) == 1
