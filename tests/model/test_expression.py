"""Expressions over a machine's tags: what they may say, and what they make of unknown values."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.model.expression import DEEPEST, LONGEST, ExpressionError, expression

ALLOWED = st.recursive(
    st.one_of(
        st.sampled_from(["a", "b", "c"]),
        st.integers(0, 99).map(str),
        st.floats(0, 1e6, allow_nan=False).map(repr),
    ),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+-*/%"), inner).map(lambda p: f"({p[0]} {p[1]} {p[2]})"),
        st.tuples(inner, st.sampled_from(["<", "<=", "==", "!="]), inner).map(
            lambda p: f"({p[0]} {p[1]} {p[2]})"
        ),
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(
            lambda p: f"({p[0]} {p[1]} {p[2]})"
        ),
        inner.map(lambda one: f"(not {one})"),
        inner.map(lambda one: f"abs({one})"),
    ),
    max_leaves=8,
)


@given(text=ALLOWED, values=st.fixed_dictionaries(dict.fromkeys("abc", st.integers(-50, 50))))
def test_known_values_give_what_python_gives(text: str, values: dict[str, int]) -> None:
    try:
        expected = eval(text, {"abs": abs}, dict(values))  # noqa: S307 - the oracle
    except (ZeroDivisionError, OverflowError):
        expected = None

    found = expression(text).evaluate(values)

    if (isinstance(expected, float) and math.isnan(expected)) or expected is None:
        assert found is None
    elif " and " in text or " or " in text:  # ours are True or False, Python's the last value
        assert found is not None
    else:
        assert found == expected


@given(text=ALLOWED, unknown=st.sampled_from("abc"))
def test_what_is_known_in_spite_of_an_unknown_value_does_not_depend_on_it(
    text: str, unknown: str
) -> None:
    values: dict[str, float | None] = {"a": 1.0, "b": 2.0, "c": 3.0}
    found = expression(text).evaluate(values | {unknown: None})

    if found is not None:
        for value in (-7.0, 0.0, 41.0):
            assert expression(text).evaluate(values | {unknown: value}) in {found, None}


@pytest.mark.parametrize(
    ("text", "values", "result"),
    [
        ("u * i", {"u": 400.0, "i": 2.0}, 800.0),
        ("power < 1.5", {"power": None}, None),
        ("door == 1 and power > 2", {"door": 0.0, "power": None}, False),
        ("door == 1 or power > 2", {"door": 1.0, "power": None}, True),
        ("mode == 'AUTO'", {"mode": "AUTO"}, True),
        ("not alarm", {"alarm": 1.0}, False),
        ("0 < x < 10", {"x": 5.0}, True),
        ("0 < x < 10", {"x": 15.0}, False),
        ("a / b", {"a": 1.0, "b": 0.0}, None),
        ("mode * 2.5", {"mode": "AUTO"}, None),
        ("min(a, b) + max(a, b) + round(2.6)", {"a": 1.0, "b": 4.0}, 8.0),
    ],
)
def test_value(text: str, values: dict[str, float | str | None], result: object) -> None:
    assert expression(text).evaluate(values) == result


def test_names_are_the_inputs_and_not_the_functions() -> None:
    assert expression("min(a, b) > c").names == {"a", "b", "c"}


@pytest.mark.parametrize(
    "text",
    [
        "", "a >", "a = 1", "open('x')", "a.b", "a[0]", "__import__('os')", "lambda: 1", "[1, 2]",
        "a if b else c", "f'{a}'", "a ** b", "(a := 1)", "a in b", "1 << 9", "None", "b'x'", "1j",
        "min(a, key=b)", "a; b", "a + " * LONGEST, "(" * 400 + "a" + ")" * 400,
        "-" * (DEEPEST + 2) + "a",
    ],
)  # fmt: skip
def test_nothing_else_can_be_written(text: str) -> None:
    with pytest.raises(ExpressionError):
        expression(text)
