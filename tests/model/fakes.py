"""Kinds of sources, systems and use cases for tests of the model, with a little syntax each."""

import re
from typing import Literal

from pydantic import Field, SecretStr

from isthmus.model.plant import Kinds
from isthmus.model.spec.site import SourceSpec, SystemSpec, UseCaseSpec
from isthmus.model.spec.words import Host, Port, Seconds, host_and_port


class OpcuaSource(SourceSpec):
    """Nodes of a server that does not exist."""

    kind: Literal["opcua"] = "opcua"
    endpoint: str = Field(pattern=r"^opc\.tcp://\S+$")
    security: Literal["none", "sign", "sign_and_encrypt"] = "none"
    user: str | None = None
    password: SecretStr | None = None
    timeout: Seconds = 5.0

    @property
    def reaches(self) -> str | None:
        return host_and_port(self.endpoint)

    @classmethod
    def parse_tag(cls, tag: str) -> str:
        if not re.fullmatch(r"ns=\d+;[isgb]=.+", tag):
            raise ValueError("a node id looks like `ns=4;s=IM07.State`")
        return tag


class ModbusSource(SourceSpec):
    """Registers of a device that does not exist."""

    kind: Literal["modbus"] = "modbus"
    host: Host
    port: Port = 502
    unit: int = Field(default=1, ge=0, le=255)

    @property
    def reaches(self) -> str | None:
        return f"{self.host}:{self.port}"

    @classmethod
    def parse_tag(cls, tag: str) -> int:
        kind, _, address = tag.partition(":")
        if kind != "holding" or not address.isdecimal():
            raise ValueError("a register looks like `holding:100`")
        return int(address)


class SqlSystem(SystemSpec):
    """A database that does not exist."""

    kind: Literal["sql"] = "sql"
    url: str
    password: SecretStr | None = None


class OeeOptions(UseCaseSpec):
    """Options of a use case."""

    time_model: Literal["iso22400", "tpm"] = "iso22400"


class EnergyOptions(UseCaseSpec):
    """A use case without options."""


KINDS = Kinds(
    sources={"opcua": OpcuaSource, "modbus": ModbusSource},
    systems={"sql": SqlSystem},
    use_cases={"oee": OeeOptions, "energy": EnergyOptions},
    needs={
        "oee": (
            (("machine_state.state",),),
            (("part_count.produced",), ("part_count.good",)),
        ),
        "energy": ((("energy.active",),),),
    },
)

ENV = {"PLC_PORT": "4840", "SAP_USER": "ISTHMUS", "ISTHMUS_SECRET_OPC": "hunter22"}
