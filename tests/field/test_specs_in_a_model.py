"""Every key of every kind in a model: its loader is stricter than code that calls a spec."""

from typing import Any

import pytest
from tests.field.every_key import ALL, WRITTEN

from isthmus.field.registry import SOURCE_KINDS
from isthmus.model.load import read_texts
from isthmus.model.write.flow import flow
from isthmus.runtime.open import kinds


def problems(kind: str, entry: dict[str, Any]) -> list[str]:
    text = f"enterprise: x\n---\nsite: h\nsources:\n  s: {flow(ALL | {'kind': kind} | entry)}\n"
    texts = {"a.yaml": text, "secrets.yaml": "box: sesame\n"}
    found = read_texts(texts, kinds(), {}).problems
    return [one.render() for one in found if one.code not in {"M019", "M044"}]


@pytest.mark.parametrize("kind", SOURCE_KINDS)
def test_every_key_of_a_kind_can_be_written(kind: str) -> None:
    for entry in WRITTEN[kind]:
        assert problems(kind, entry) == []
    named = {name for entry in WRITTEN[kind] for name in entry} | ALL.keys() | {"kind"}
    assert SOURCE_KINDS[kind].model_fields.keys() <= named


@pytest.mark.parametrize(
    ("time", "said"),
    [
        (3, "expected a list, found the number `3`"),
        ({"a": "b"}, "expected a list, found a mapping"),
        ([], "has too few entries"),
    ],
)
def test_columns_that_are_none_say_so(time: Any, said: str) -> None:
    entry = {"url": "sqlite:////data/x", "table": "t", "order": "id", "time": time}
    assert said in "".join(problems("sql", entry))
