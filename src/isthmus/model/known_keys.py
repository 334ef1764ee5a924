"""Which keys a spec knows at a place, for `did you mean`."""

from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from isthmus.model.document import Path


def known_keys(spec: type[BaseModel], path: Path) -> list[str]:
    """Keys of the mapping at `path`, as they are written in the model."""
    annotations: list[Any] = [spec]
    for part in path:
        annotations = [step for each in annotations for step in _steps(each, str(part))]
    return [
        field.alias or name
        for each in annotations
        for model in _models(each)
        for name, field in model.model_fields.items()
    ]


def _steps(annotation: Any, part: str) -> Iterator[Any]:
    """What stands at `part` below a value of this type."""
    for branch in _branches(annotation):
        if isinstance(branch, type) and issubclass(branch, BaseModel):
            for name, field in branch.model_fields.items():
                if part in {name, field.alias}:
                    yield field.annotation
        elif get_origin(branch) is dict:
            yield get_args(branch)[1]
        elif get_origin(branch) in {list, tuple}:
            yield get_args(branch)[0]


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    for branch in _branches(annotation):
        if isinstance(branch, type) and issubclass(branch, BaseModel):
            yield branch


def _branches(annotation: Any) -> Iterator[Any]:
    """The members of a union, without what is only annotated."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _branches(get_args(annotation)[0])
    elif origin in {Union, UnionType}:
        for member in get_args(annotation):
            yield from _branches(member)
    else:
        yield annotation
