"""One file per kind of IT system; to add one, write the file and add a line here."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from isthmus.model.spec.site import SystemSpec
from isthmus.provision.system import AnySystem
from isthmus.provision.systems.files import FilesSpec, FilesSystem
from isthmus.provision.systems.sql import SqlSpec, SqlSystem

SYSTEM_KINDS: Final[Mapping[str, type[SystemSpec]]] = MappingProxyType(
    {"files": FilesSpec, "sql": SqlSpec}
)
"""What `systems:` of the model may declare, by kind."""

SYSTEMS: Final[Mapping[str, type[AnySystem]]] = MappingProxyType(
    {"files": FilesSystem, "sql": SqlSystem}
)
