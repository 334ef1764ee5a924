"""Formulas and conditions over a machine's tags, as people write them: `u * i`, `power < 1.5`.

A small part of Python's expressions: numbers, texts, names, arithmetic, comparisons, `and`, `or`,
`not`, `abs`, `min`, `max`, `round`. Nothing else can be reached. A value that is not known makes
the result unknown (None), unless the rest decides it alone: `False and unknown` is False.
"""

import ast
import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

Value = float | str | bool | None
Values = Mapping[str, Value]
_Evaluate = Callable[[Values], Value]

LONGEST: Final = 500
DEEPEST: Final = 30

_ARITHMETIC: Final[Mapping[type[ast.AST], Callable[[Any, Any], Any]]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
    ast.Div: operator.truediv, ast.Mod: operator.mod,
}  # fmt: skip
_COMPARISONS: Final[Mapping[type[ast.AST], Callable[[Any, Any], bool]]] = {
    ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge,
    ast.Eq: operator.eq, ast.NotEq: operator.ne,
}  # fmt: skip
_FUNCTIONS: Final[Mapping[str, Callable[..., Any]]] = {
    "abs": abs, "min": min, "max": max, "round": round,
}  # fmt: skip


class ExpressionError(ValueError):
    """The text is no expression; says what is wrong."""


@dataclass(frozen=True)
class Expression:
    """A formula or condition that can be evaluated."""

    text: str
    names: frozenset[str]
    evaluate: _Evaluate
    """None where it is unknown, or where the values cannot be computed with."""

    def holds(self, values: Values) -> bool | None:
        """As a condition: anything but 0, an empty text and False is true."""
        value = self.evaluate(values)
        return None if value is None else bool(value)


@lru_cache(maxsize=10_000)
def expression(text: str) -> Expression:
    """ExpressionError says what is wrong."""
    if len(text) > LONGEST:
        raise ExpressionError(f"longer than {LONGEST} characters")
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        what = error.msg if isinstance(error, SyntaxError) else "nested too deeply"
        raise ExpressionError(f"cannot be read: {what}") from error
    compiled = _compiled(tree.body, 0)
    calls = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    names = frozenset(
        node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and id(node) not in calls
    )

    def evaluate(values: Values) -> Value:
        try:
            value = compiled(values)
        except (TypeError, ZeroDivisionError, OverflowError, ValueError):
            return None  # a text cannot be multiplied, nothing divided by zero
        return None if isinstance(value, float) and math.isnan(value) else value

    return Expression(text, names, evaluate)


def _compiled(node: ast.AST, depth: int) -> _Evaluate:  # noqa: PLR0911 - one return per construct
    if depth > DEEPEST:
        raise ExpressionError("nested too deeply")
    match node:
        case ast.Constant(value=bool() | int() | float() | str() as constant):
            return lambda _: constant
        case ast.Name(id=name):
            return lambda values: values.get(name)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return _negated(_compiled(operand, depth + 1))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return _applied(operator.neg, [_compiled(operand, depth + 1)])
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
            return _applied(_ARITHMETIC[type(op)], _both(left, right, depth))
        case ast.Compare(left=left, ops=ops, comparators=others) if all(
            type(op) in _COMPARISONS for op in ops
        ):
            sides = [left, *others]
            pairs = zip(ops, sides, others, strict=False)
            links = [_applied(_COMPARISONS[type(o)], _both(a, b, depth)) for o, a, b in pairs]
            return links[0] if len(links) == 1 else _joined(links, decides=False)
        case ast.BoolOp(op=op, values=parts):
            decides = isinstance(op, ast.Or)
            return _joined([_compiled(part, depth + 1) for part in parts], decides=decides)
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _FUNCTIONS:
            return _applied(_FUNCTIONS[name], [_compiled(one, depth + 1) for one in args])
    raise ExpressionError(f"`{ast.unparse(node)}` is not allowed in an expression")


def _both(left: ast.AST, right: ast.AST, depth: int) -> list[_Evaluate]:
    return [_compiled(left, depth + 1), _compiled(right, depth + 1)]


def _applied(function: Callable[..., Any], parts: list[_Evaluate]) -> _Evaluate:
    def apply(values: Values) -> Value:
        known = [part(values) for part in parts]
        return None if None in known else function(*known)

    return apply


def _negated(part: _Evaluate) -> _Evaluate:
    def negate(values: Values) -> Value:
        value = part(values)
        return None if value is None else not value

    return negate


def _joined(parts: list[_Evaluate], *, decides: bool) -> _Evaluate:
    """`or` (True decides) and `and` (False decides) in three-valued logic."""

    def join(values: Values) -> Value:
        unknown = False
        for part in parts:
            value = part(values)
            if value is None:
                unknown = True
            elif bool(value) is decides:
                return decides
        return None if unknown else not decides

    return join
