"""Which kinds of source there are: one line per connector, imported when it is first asked for."""

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, Final

from isthmus.field.connector import AnyConnector
from isthmus.model.spec.site import SourceSpec

_PREFIX: Final[Mapping[str, str]] = {
    "opcua": "Opcua",
    "modbus": "Modbus",
    "mqtt": "Mqtt",
    "sparkplug": "Sparkplug",
    "mtconnect": "Mtconnect",
    "shdr": "Shdr",
    "ethernetip": "EthernetIp",
    "ads": "Ads",
    "s7": "S7",
    "sql": "Sql",
    "files": "Files",
    "http": "Http",
    "webhook": "Webhook",
}
"""Kind, which is also the module in `connectors/` → what its two classes are called:
`OpcuaSource` (the spec, needs no driver) and `OpcuaConnector`."""


class _SourceKinds(Mapping[str, type[SourceSpec]]):
    """Kind → spec. A module that is broken or missing raises as soon as its kind is looked up."""

    def __getitem__(self, kind: str) -> type[SourceSpec]:
        spec: type[SourceSpec] = _class(kind, "Source")
        return spec

    def __iter__(self) -> Iterator[str]:
        return iter(_PREFIX)

    def __len__(self) -> int:
        return len(_PREFIX)


SOURCE_KINDS: Final[Mapping[str, type[SourceSpec]]] = _SourceKinds()
"""Every kind of source with its spec, for `load(folder, kinds)`."""


def connector(kind: str) -> type[AnyConnector]:
    """The connector of a kind; KeyError names the kinds there are."""
    found: type[AnyConnector] = _class(kind, "Connector")
    return found


def _class(kind: str, role: str) -> Any:
    if kind not in _PREFIX:
        raise KeyError(f"no source kind `{kind}`; there are {', '.join(sorted(_PREFIX))}")
    module = import_module(f"isthmus.field.connectors.{kind}")
    return getattr(module, _PREFIX[kind] + role)
