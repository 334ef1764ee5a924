"""YAML 1.2 with places: what values mean, where they stand, what is refused."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.base.problem import Place, Problem
from isthmus.model.compose import MAX_NODES, Composer
from isthmus.model.document import Document, MappingNode
from isthmus.model.fill import Filling
from isthmus.model.scalars import code_text, plain_value

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20),
    lambda inside: (
        st.lists(inside, max_size=4)
        | st.dictionaries(st.text("abcdü -_.", max_size=8), inside, max_size=4)
    ),
    max_leaves=20,
)


def composed(text: str) -> tuple[list[Document], list[Problem]]:
    composer = Composer("m.yaml", text)
    composer.compose()
    return composer.documents, composer.problems


def document(text: str, env: dict[str, str] | None = None, **secrets: str) -> Document:
    (found,), problems = composed(text)
    assert problems == []
    filling = Filling(found, env or {}, secrets)
    filled = filling.filled()
    assert filling.problems == []
    return filled


def only_problem(text: str) -> Problem:
    _, (found,) = composed(text)
    return found


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("NO", "NO"), ("yes", "yes"), ("on", "on"), ("true", True), ("FALSE", False),
        ("14:00", "14:00"), ("22:30:15", "22:30:15"), ("1_000", "1_000"),
        ("0o17", 15), ("017", 17), ("0x1F", 31), ("0b11", "0b11"), ("-0", 0), ("+12", 12),
        ("1e3", 1000.0), ("1.", 1.0), (".5", 0.5), ("-1.5E-2", -0.015), ("1.2.3", "1.2.3"),
        (".", "."),
        ("~", None), ("null", None), ("", None), ("nUll", "nUll"), ("2026-01-31", "2026-01-31"),
        (".inf", math.inf), ("-.INF", -math.inf), ("inf", "inf"), ("nan", "nan"), ("-", "-"),
        ("9" * 401, "9" * 401),
    ],
)  # fmt: skip
def test_plain_scalar_means_what_yaml_1_2_says(text: str, value: Any):
    assert plain_value(text) == value
    assert type(plain_value(text)) is type(value)


def test_nan_is_a_number():
    assert math.isnan(plain_value(".nan"))  # type: ignore[arg-type]


@given(JSON)
def test_what_json_says_is_read_back(value: Any):
    """JSON is a part of YAML 1.2, so it is the writer for the reader."""
    assert document(json.dumps({"x": value}, ensure_ascii=False)).data == {"x": value}


@given(st.text(max_size=200))
def test_no_text_breaks_the_reader(text: str):
    documents, problems = composed(text)
    assert isinstance(documents, list)
    assert all(each.code.startswith("M00") for each in problems)


def test_keys_and_values_know_their_places():
    found = document("site: hamburg\nsources:\n  im07: {kind: opcua, port: 4840}\n")
    at = found.place(("sources", "im07", "port"))
    assert at == Place("m.yaml", 3, 29, 4)
    assert found.place(("sources", "im07", "port"), at_key=True) == Place("m.yaml", 3, 23, 4)
    assert found.place(("sources", "im07")) == Place("m.yaml", 3, 3, 4)
    assert found.place(("sources", "nowhere", "port")) == Place("m.yaml", 2, 1, 7)


def test_columns_count_characters():
    found = document("name: {größe: groß, x: 5}\n")
    assert found.place(("name", "x")) == Place("m.yaml", 1, 24, 1)


def test_documents_of_one_file_keep_their_lines():
    documents, _ = composed("a: 1\n---\n# nothing\n---\nb: 2\n")
    assert [each.place((each.kind,)).line for each in documents] == [1, 5]


def test_alias_has_the_place_where_the_value_is_written():
    found = document("a: &x {port: 1}\nb: *x\n")
    assert found.data == {"a": {"port": 1}, "b": {"port": 1}}
    assert found.place(("b", "port")) == Place("m.yaml", 1, 14, 1)


def test_alias_of_another_document_is_unknown():
    assert only_problem("a: &x 1\n---\nb: *x\n").code == "M003"


def test_alias_inside_itself_is_refused():
    assert only_problem("a: &x [*x]\n").code == "M003"


def test_codes_are_keys_of_machines_not_names():
    found = document(
        "codes: {0x10: a, 007: b, true: c, '0x11': d, 1.0e1: e, RUN: f}\nother: {007: x}\n"
    )
    assert list(found.data["codes"]) == ["16", "7", "1", "0x11", "10", "RUN"]
    assert list(found.data["other"]) == ["007"]
    assert found.place(("codes", "16")) == Place("m.yaml", 1, 15, 1)


def test_the_same_code_in_two_notations_is_written_twice():
    assert only_problem("codes: {16: a, 0x10: b}\n").code == "M002"


@pytest.mark.parametrize(
    ("text", "code"), [("0x10", "16"), ("false", "0"), ("3.5", "3.5"), ("A", "A")]
)
def test_code_is_the_text_samples_show(text: str, code: str):
    assert code_text(text) == code


def test_deep_input_is_refused_and_does_not_crash():
    """The composer of libyaml overflows the C stack at this depth."""
    assert only_problem("a: " + "[" * 200_000).code == "M004"
    assert only_problem("- " * 200_000).code == "M004"


def test_aliases_that_mean_billions_are_refused():
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    found = only_problem("\n".join(lines))
    assert (found.code, found.place and found.place.line) == ("M004", 6)
    assert f"{MAX_NODES:,}" in found.message


def test_large_file_is_refused():
    assert only_problem("a: " + "x" * 5_000_001).code == "M004"


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("a: [1, 2\n", 2, "',' or ']'"),
        ("a: 'x\n", 2, "unexpected end of stream"),
        ("a:\n\tb: 1\n", 2, "cannot start any token"),
        ("a: \x01\n", 1, "U+0001"),
        ('a: "\\ud800"\n', 1, "Unicode"),
        ("%YAML 3.0\n---\na: 1\n", 1, "incompatible"),
    ],
)
def test_broken_yaml_has_a_place(text: str, line: int, said: str):
    found = only_problem(text)
    assert found.code == "M001"
    assert said in found.message
    assert found.place is not None
    assert found.place.line <= line


def test_variables_are_filled_after_parsing():
    text = 'port: ${PORT}\nname: "${PORT}"\nurl: http://${HOST}:${PORT}/$${x}\nd: ${NONE:-502}\n'
    found = document(text, {"PORT": "4840", "HOST": "a: b # c"})
    assert found.data == {
        "port": 4840, "name": "4840", "url": "http://a: b # c:4840/${x}", "d": 502,
    }  # fmt: skip


def test_secret_of_the_environment_wins_over_the_file():
    text = "sources: {a: {password: !secret opc-ua, user: !secret u}}\n"
    found = document(text, {"ISTHMUS_SECRET_OPC_UA": "env"}, **{"opc-ua": "file", "u": "true"})
    assert found.data["sources"]["a"] == {"password": "env", "user": "true"}


def test_source_line_stars_out_passwords_and_keeps_columns():
    found = document(
        's: {password: "geheim 1", url: "x://u:geheim2@h/", token: "${T}"}\n', {"T": "t"}
    )
    line = found.problem("M012", ("s", "url"), "x").source_line
    assert line == 's: {password: **********, url: "x://u:*******@h/", token: "${T}"}'


def test_root_mapping_is_shown_by_its_first_key():
    (found,), _ = composed("\n\nsite: hamburg\n")
    assert isinstance(found.root, MappingNode)
    assert found.place(()) == Place("m.yaml", 3, 1, 4)
