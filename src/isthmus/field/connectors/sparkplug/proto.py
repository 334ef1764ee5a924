"""The Sparkplug B payload as protobuf messages, made from its specification's field numbers."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import SimpleNamespace
from typing import Any, Final

_PACKAGE: Final = "isthmus.sparkplug"
_REPEATED: Final = "*"
_CHOICE: Final = "|"
"""After a type: it may come many times; it is one of the message's alternatives for its value."""

_SCALARS: Final[tuple[tuple[str, str], ...]] = (
    ("int_value", "uint32|"),
    ("long_value", "uint64|"),
    ("float_value", "float|"),
    ("double_value", "double|"),
    ("boolean_value", "bool|"),
    ("string_value", "string|"),
)


def _with_scalars(first: int, *more: tuple[str, str]) -> dict[int, tuple[str, str]]:
    return dict(enumerate((*_SCALARS, *more), start=first))


_MESSAGES: Final[Mapping[str, Mapping[int, tuple[str, str]]]] = {
    "Payload": {
        1: ("timestamp", "uint64"),
        2: ("metrics", "Metric*"),
        3: ("seq", "uint64"),
        4: ("uuid", "string"),
        5: ("body", "bytes"),
    },
    "Metric": {
        1: ("name", "string"),
        2: ("alias", "uint64"),
        3: ("timestamp", "uint64"),
        4: ("datatype", "uint32"),
        5: ("is_historical", "bool"),
        6: ("is_transient", "bool"),
        7: ("is_null", "bool"),
        8: ("metadata", "MetaData"),
        9: ("properties", "PropertySet"),
    }
    | _with_scalars(
        10,
        ("bytes_value", "bytes|"),
        ("dataset_value", "DataSet|"),
        ("template_value", "Template|"),
    ),
    "MetaData": {
        1: ("is_multi_part", "bool"),
        2: ("content_type", "string"),
        3: ("size", "uint64"),
        4: ("seq", "uint64"),
        5: ("file_name", "string"),
        6: ("file_type", "string"),
        7: ("md5", "string"),
        8: ("description", "string"),
    },
    "PropertySet": {1: ("keys", "string*"), 2: ("values", "PropertyValue*")},
    "PropertySetList": {1: ("propertyset", "PropertySet*")},
    "PropertyValue": {1: ("type", "uint32"), 2: ("is_null", "bool")}
    | _with_scalars(
        3, ("propertyset_value", "PropertySet|"), ("propertysets_value", "PropertySetList|")
    ),
    "DataSet": {
        1: ("num_of_columns", "uint64"),
        2: ("columns", "string*"),
        3: ("types", "uint32*"),
        4: ("rows", "Row*"),
    },
    "Row": {1: ("elements", "DataSetValue*")},
    "DataSetValue": _with_scalars(1),
    "Template": {
        1: ("version", "string"),
        2: ("metrics", "Metric*"),
        3: ("parameters", "Parameter*"),
        4: ("template_ref", "string"),
        5: ("is_definition", "bool"),
    },
    "Parameter": {1: ("name", "string"), 2: ("type", "uint32")} | _with_scalars(3),
}
"""Message → field number → name and type."""


@lru_cache(maxsize=1)
def messages() -> Any:
    """Name of a message → its class: `messages().Payload`. What they do not know they keep."""
    from google.protobuf import descriptor_pool, message_factory

    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(_file().SerializeToString())
    found = {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))
        for name in _MESSAGES
    }
    return SimpleNamespace(**found)


def _file() -> Any:
    from google.protobuf import descriptor_pb2

    file = descriptor_pb2.FileDescriptorProto(
        name="isthmus/sparkplug.proto", package=_PACKAGE, syntax="proto2"
    )
    for name, fields in _MESSAGES.items():
        _describe(file.message_type.add(name=name), list(fields.items()))
    return file


def _describe(message: Any, fields: Sequence[tuple[int, tuple[str, str]]]) -> None:
    if any(kind.endswith(_CHOICE) for _, (_, kind) in fields):
        message.oneof_decl.add(name="value")
    for number, (name, kind) in fields:
        field = message.field.add(name=name, number=number)
        repeated = kind.endswith(_REPEATED)
        field.label = field.LABEL_REPEATED if repeated else field.LABEL_OPTIONAL
        if kind.endswith(_CHOICE):
            field.oneof_index = 0
        plain = kind.rstrip(_REPEATED + _CHOICE)
        if plain in _MESSAGES:
            field.type = field.TYPE_MESSAGE
            field.type_name = f".{_PACKAGE}.{plain}"
        else:
            field.type = field.Type.Value(f"TYPE_{plain.upper()}")
