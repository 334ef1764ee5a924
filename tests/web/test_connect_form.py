"""The form of every kind of source: whatever a spec allows can be written in it, and comes back."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.field.registry import SOURCE_KINDS
from isthmus.model.plant import Source
from isthmus.model.write.flow import Raw
from isthmus.model.write.text import merge
from isthmus.model.write.written import written_at
from isthmus.web.pages.connect import address_of
from isthmus.web.pages.connect_form import FormField, duration_text, every, fields_of
from isthmus.web.pages.connect_form_view import FormView
from isthmus.web.pages.connect_values import HIDDEN, options, reading_of, values_of, without_secrets

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=12)
NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\r"), min_size=1, max_size=8)
REFERENCES = st.sampled_from(["${PRESS_PASSWORD}", Raw("!secret press")])
YAML = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner),
    max_leaves=5,
)


NUMBERS = {True: st.integers(), False: st.floats(allow_nan=False, allow_infinity=False)}
DRAWN: dict[str, st.SearchStrategy[Any]] = {
    "flag": st.booleans(),
    "secret": REFERENCES,
    "lines": st.lists(TEXTS, max_size=3),
    "pairs": st.dictionaries(NAMES, TEXTS, max_size=3),
    "yaml": st.dictionaries(st.sampled_from("abc"), YAML, min_size=1),
}


def drawn(one: FormField) -> st.SearchStrategy[Any]:
    """What may stand at a key."""
    match one.widget:
        case "choice":
            return st.sampled_from(one.choices)
        case "number":
            number = NUMBERS[one.whole]
            return number | st.none() if one.optional and one.default is not None else number
        case "group":
            return entries(one.fields)
        case "one_of":
            return st.one_of(
                entries(inside).map(lambda entry, kind=kind: {one.kind_key: kind} | entry)  # type: ignore[misc]
                for kind, inside in one.kinds.items()
            )
        case other:
            return DRAWN.get(other, TEXTS)


@st.composite
def entries(draw: st.DrawFn, fields: tuple[FormField, ...]) -> dict[str, Any]:
    chosen = (
        draw(st.lists(st.sampled_from(fields), unique_by=lambda one: one.name)) if fields else []
    )
    return {one.name: draw(drawn(one)) for one in chosen}


def meant(fields: tuple[FormField, ...], entry: Mapping[str, Any]) -> dict[str, Any]:
    """An entry without what is usual anyway."""
    found = {}
    for one in fields:
        value = entry.get(one.name)
        if one.name not in entry:
            continue
        if one.widget == "group":
            value = meant(one.fields, value)
            if not value and not one.optional:
                continue
        elif one.widget == "one_of":
            inside = one.kinds[value[one.kind_key]]
            value = {one.kind_key: value[one.kind_key]} | meant(inside, value)
        plain = tuple(value) if isinstance(value, list) else value
        if one.default is None or (plain != one.default and value != one.usual):
            found[one.name] = value
    return found


@pytest.mark.parametrize("kind", SOURCE_KINDS)
@given(data=st.data())
@settings(max_examples=60)
def test_whatever_a_kind_allows_comes_back_from_its_form(kind: str, data: st.DataObject) -> None:
    fields = fields_of(SOURCE_KINDS[kind])
    entry = data.draw(entries(fields))
    reading = reading_of(fields, as_sent(fields, values_of(fields, entry)), {})
    assert not reading.wrong
    assert reading.entry == meant(fields, entry)


def as_sent(fields: tuple[FormField, ...], texts: Mapping[str, str]) -> dict[str, str]:
    """As a browser sends the form: no box that is not ticked, and lines as Windows ends them."""
    sent = {name: text.replace("\n", "\r\n") for name, text in texts.items()}
    for one in every(fields):
        text = texts.get(one.input, one.usual)
        if one.widget == "choice":
            sent[one.input] = texts.get(one.input) or options(one)[0]
        elif one.widget == "flag":
            sent.pop(one.input, None)
            sent |= {one.input: "true"} if text == "true" else {}
        elif one.widget != "lines" and "\n" in text:
            assert one.widget in {"long", "pairs", "yaml"}, one
    return sent


@pytest.mark.parametrize("kind", SOURCE_KINDS)
def test_every_key_of_a_kind_is_in_its_form(kind: str) -> None:
    spec = SOURCE_KINDS[kind]
    asked = {one.name for one in fields_of(spec)}
    assert asked == spec.model_fields.keys() - {"kind", "enabled"}
    assert all(one.fields or one.kinds or one.widget not in {"group", "one_of"}
               for one in every(fields_of(spec)))  # fmt: skip


def test_inputs_of_a_form_are_told_apart() -> None:
    for kind in SOURCE_KINDS:
        names = [one.input for one in every(fields_of(SOURCE_KINDS[kind]))]
        assert len(names) == len(set(names)), kind


SITE = """\
site: hamburg
sources:
  box:
    kind: http   # the gray one
    url: "http://${BOX:-10.0.0.1}/v1"
    headers: {X-Cell: "7", api_key: open}
    auth: {kind: basic, user: us, password: sesame}   # ask Ina
    post:
      query: all
      login: {password: sesame, token: !secret box}
    timeout: 10 s
"""
HTTP = fields_of(SOURCE_KINDS["http"])


def box() -> dict[str, Any]:
    return written_at({"site.yaml": SITE}, "hamburg", ("sources", "box"))


def changed(**texts: str) -> str:
    given = values_of(HTTP, box()) | {name.replace("__", "."): text for name, text in texts.items()}
    reading = reading_of(HTTP, as_sent(HTTP, given), box())
    assert not reading.wrong
    return merge(SITE, 0, ("sources", "box"), reading.entry)


def test_a_form_that_was_only_looked_at_changes_nothing() -> None:
    assert changed() == SITE


def test_no_secret_is_shown() -> None:
    texts = values_of(HTTP, box())
    assert texts["k.auth.basic.password"] == HIDDEN
    assert texts["k.headers"] == f"X-Cell: 7\napi_key: {HIDDEN}"
    assert texts["k.post"].splitlines()[1] == f'login: {{password: "{HIDDEN}", token: !secret box}}'
    assert "sesame" not in str(texts)
    assert "open" not in str(texts)


def test_a_reference_is_shown_and_stays_as_it_is_written() -> None:
    assert values_of(HTTP, box())["k.url"] == "http://${BOX:-10.0.0.1}/v1"
    assert '"http://${BOX:-10.0.0.1}/v1"' in changed(k__timeout="5 s")


def test_a_secret_beside_a_change_stays() -> None:
    after = changed(k__headers=f"X-Cell: 8\napi_key: {HIDDEN}")
    assert 'headers: {X-Cell: "8", api_key: open}' in after
    after = changed(k__post=f'query: some\nlogin: {{password: "{HIDDEN}", token: !secret box}}')
    assert "query: some" in after
    assert "login: {password: sesame, token: !secret box}" in after


def test_a_secret_is_replaced_by_a_reference_and_its_comment_stays() -> None:
    after = changed(k__auth__basic__password="!secret box")
    assert "auth: {kind: basic, user: us, password: !secret box}   # ask Ina" in after


def test_another_way_to_sign_in_takes_nothing_from_the_old_one() -> None:
    after = changed(k__auth="bearer", k__auth__bearer__token="${BOX_TOKEN}")
    assert 'auth: {kind: bearer, token: "${BOX_TOKEN}"}   # ask Ina' in after


def test_what_was_typed_as_a_secret_is_not_shown_again() -> None:
    given = {"k.auth.basic.password": "sesame", "k.auth.oauth2.client_secret": "${BOX}"}
    shown = without_secrets(HTTP, given)
    assert shown == {"k.auth.basic.password": "", "k.auth.oauth2.client_secret": "${BOX}"}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("k.headers", "X-Cell", "endpoint.wrong.pair"),
        ("k.headers", "A: 1\nA: 2", "endpoint.wrong.twice"),
        ("k.post", "a: [1", "endpoint.wrong.yaml"),
        ("k.url", '"http://x', "endpoint.wrong.quotes"),
    ],
)
def test_what_cannot_be_read_is_told_at_its_key(name: str, text: str, message: str) -> None:
    reading = reading_of(HTTP, {name: text}, {})
    assert reading.wrong[name.removeprefix("k.")].message == message


def test_blanks_that_matter_stand_in_quotes() -> None:
    files = {one.name: one for one in fields_of(SOURCE_KINDS["files"])}
    assert options(files["delimiter"]) == ["auto", ",", ";", '"\\t"', "|"]
    assert options(files["thousands"])[0] == '""'
    given = {"k.delimiter": '"\\t"', "k.thousands": '" "'}
    assert reading_of(tuple(files.values()), given, {}).entry == {
        "delimiter": "\t",
        "thousands": " ",
    }


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(604800.0, "7 d"), (0.25, "250 ms"), (90.0, "90 s"), (600.0, "10 min"), (0.0, "0 s")],
)
def test_a_duration_is_written_with_its_unit(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


def test_a_duration_in_the_form_is_the_one_of_the_spec() -> None:
    spec = SOURCE_KINDS["mqtt"]
    usual = {one.name: one.usual for one in fields_of(spec)}
    assert usual["session_expiry"] == "7 d"
    assert usual["keepalive"] == "10 s"


@pytest.mark.parametrize(
    ("kind", "first"),
    [("sql", ["url", "user", "password", "time"]), ("modbus", ["host", "port"])],
)
def test_what_a_source_reaches_is_asked_first(kind: str, first: list[str]) -> None:
    assert [one.name for one in FormView(fields_of(SOURCE_KINDS[kind])).first] == first


@pytest.mark.parametrize(
    ("kind", "keys", "said"),
    [
        ("modbus", {"host": "10.0.4.21", "unit": 3}, "10.0.4.21:502 unit 3"),
        ("opcua", {"endpoint": "opc.tcp://im07:4840"}, "opc.tcp://im07:4840"),
        ("mqtt", {"host": "broker"}, "broker:1883"),
    ],
)
def test_an_address_is_told_as_a_person_writes_it(
    kind: str, keys: Mapping[str, Any], said: str
) -> None:
    spec = SOURCE_KINDS[kind].model_validate({"kind": kind} | keys)
    assert address_of(Source("box", "hamburg", spec, (), ())) == said
