"""`isthmus certs`: our certificate for OPC UA, and the servers whose certificates we trust."""

import asyncio
import json
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, NoReturn

import typer
from rich.table import Table

from isthmus.base.problem import ProblemsError
from isthmus.cli.screen import screen

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

    from isthmus.field.connectors.opcua import OpcuaSource
    from isthmus.field.connectors.opcua.security import Offered
    from isthmus.field.connectors.opcua.trust import TrustFolder
    from isthmus.model.plant import Plant, Source

certs = typer.Typer(
    help="Our certificate for OPC UA, and those of servers that we trust.",
    no_args_is_help=True,
)


class Format(StrEnum):
    """How to print."""

    table = "table"
    json = "json"


Form = Annotated[Format, typer.Option("--format", help="How to print.")]


@certs.command("create")
def create(
    host: Annotated[
        str, typer.Option(help="Name of this computer; default: what it calls itself.")
    ] = "",
    days: Annotated[int, typer.Option(min=1, max=36_500, help="How long it is valid.")] = 1825,
    *,
    renew: Annotated[bool, typer.Option("--renew", help="Replace it; its key stays.")] = False,
    output: Form = Format.table,
) -> None:
    """Make our certificate; the administrator of each server must then trust it."""
    from isthmus.field.connectors.opcua import certificates

    folder, now = _folder(), datetime.now(UTC)
    if folder.certificate.exists() and not renew:
        _fail("there is one already: `isthmus certs show`. --renew replaces it")
    try:
        key = folder.key()
    except (OSError, ValueError) as error:
        _fail(str(error))
    made = certificates.issue(key, host or socket.gethostname(), now=now, valid=timedelta(days))
    folder.keep(made, key)
    show(output=output)


@certs.command("show")
def show(
    *,
    pem: Annotated[bool, typer.Option("--pem", help="Only the certificate, as text.")] = False,
    output: Form = Format.table,
) -> None:
    """Show our certificate and where its file is, for a server's administrator."""
    from cryptography.hazmat.primitives.serialization import Encoding

    folder = _folder()
    with _readable():
        ours = folder.own()
    if ours is None:
        _fail("Isthmus has no certificate yet: `isthmus certs create` makes one")
    if pem:
        print(ours.public_bytes(Encoding.PEM).decode(), end="")
    elif output is Format.json:
        print(_json(_entry("own", folder.certificate, ours)))
    else:
        _describe(ours, folder.certificate)


@certs.command("list")
def list_(
    output: Form = Format.table,
) -> None:
    """List our certificate and those we trust; ends with 1 if one of them has expired."""
    with _readable():
        entries = list(_entries(_folder()))
    if output is Format.json:
        print(_json(entries))
    else:
        _print(entries)
    raise typer.Exit(int(any(entry["expired"] for entry in entries)))


@certs.command("trust")
def trust(
    what: Annotated[
        str,
        typer.Argument(
            help="A .der or .pem file, or a source: its server is asked. Of a redundant set, the "
            "endpoint of one of its servers."
        ),
    ],
    folder: Annotated[
        Path | None, typer.Option("--model", help="The model; default: the one that runs here.")
    ] = None,
    *,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do not ask: the fingerprint was compared.")
    ] = False,
    output: Form = Format.table,
) -> None:
    """Trust a server's certificate, or an authority that issues such; shows it and asks first."""
    from isthmus.field.connectors.opcua import certificates

    found = _from_file(Path(what)) if Path(what).is_file() else _from_source(what, folder)
    _describe(found, None, err=output is Format.json)
    if wrong := certificates.out_of_date(found, datetime.now(UTC)):
        _fail(f"it {wrong}: sources would refuse it. The server needs a new one first")
    if not yes and not _agreed():
        _fail("nothing was changed")
    file = _folder().trust(found)
    print(_json(_entry("trusted", file, found)) if output is Format.json else f"trusted: {file}")


@certs.command("distrust")
def distrust(
    fingerprint: Annotated[
        str, typer.Argument(help="As `isthmus certs list` shows it, or how it begins.")
    ],
    output: Form = Format.table,
) -> None:
    """Trust a certificate no longer; sources see that when they connect next."""
    with _readable():
        removed = _folder().distrust(fingerprint)
    if not removed:
        _fail(f"no trusted certificate begins with `{fingerprint}`: see `isthmus certs list`")
    if output is Format.json:
        print(_json({"removed": [str(file) for file in removed]}))
        return
    for file in removed:
        print(f"no longer trusted: {file}")


# What the commands stand on ----------------------------------------------------------------------


def _folder() -> "TrustFolder":
    from isthmus.field.connectors.opcua.trust import TrustFolder

    return TrustFolder.of_this_site()


def _fail(said: str) -> NoReturn:
    typer.echo(f"error: {said}", err=True)
    raise typer.Exit(1)


@contextmanager
def _readable() -> Iterator[None]:
    """A file that is no certificate is an answer, not a traceback."""
    try:
        yield
    except (OSError, ValueError) as error:
        _fail(str(error))


def _agreed() -> bool:
    if not sys.stdin.isatty():
        _fail("nobody is here to compare the fingerprint: --yes says that it was compared")
    return typer.confirm("Does the machine itself show this fingerprint?", err=True)


def _from_file(path: Path) -> "Certificate":
    from isthmus.field.connectors.opcua import certificates

    try:
        return certificates.load(path)[0]
    except (OSError, ValueError) as error:
        _fail(f"{path} is no certificate: {error}")


def _from_source(what: str, folder: Path | None) -> "Certificate":
    from isthmus.field.connector import Refused, Unreachable
    from isthmus.runtime.open import load_plant, model_folder

    try:
        plant = load_plant(model_folder(folder))
    except (ProblemsError, LookupError, OSError) as error:
        _fail(str(error))
    server = next(_servers(plant, what), None)
    if server is None:
        _fail(
            f"`{what}` is neither a file nor an OPC UA source of this model, nor an endpoint of one"
        )
    try:
        ways = asyncio.run(_ways(plant, server))
    except (Unreachable, Refused) as error:
        _fail(str(error))
    shown = [way.chain[0] for way in ways if way.chain]
    if not shown:
        _fail(f"{server.endpoint} shows no certificate")
    return shown[0]


class _Server(NamedTuple):
    source: "Source"
    spec: "OpcuaSource"
    endpoint: str


def _servers(plant: "Plant", what: str) -> Iterator[_Server]:
    """The first server of a source, or those with this endpoint."""
    from isthmus.field.connectors.opcua import OpcuaSource

    for name, source in plant.sources.items():
        if isinstance(spec := source.spec, OpcuaSource):
            if name == what:
                yield _Server(source, spec, spec.endpoint)
            elif what in (spec.endpoint, *spec.endpoints):
                yield _Server(source, spec, what)


async def _ways(plant: "Plant", server: _Server) -> "list[Offered]":
    from isthmus.cli.probe import devices
    from isthmus.field.connectors.opcua.session import ways_in

    async with devices(plant).look(server.source, None):
        return await ways_in(server.source.name, server.spec, server.endpoint)


def _json(found: object) -> str:
    return json.dumps(found, indent=2, ensure_ascii=False)


def _describe(certificate: "Certificate", file: Path | None, *, err: bool = False) -> None:
    for name, value in _described(certificate, file).items():
        typer.echo(f"{name:>15}  {value}", err=err)


def _described(certificate: "Certificate", file: Path | None) -> dict[str, str]:
    from isthmus.field.connectors.opcua import certificates

    state = certificates.out_of_date(certificate, datetime.now(UTC)) or certificates.ends_soon(
        certificate, datetime.now(UTC)
    )
    until = f"{certificate.not_valid_after_utc:%Y-%m-%d}" + (f" ({state})" if state else "")
    described = {
        "subject": certificates.subject(certificate),
        "application URI": certificates.application_uri(certificate) or "none",
        "fingerprint": certificates.grouped(certificates.fingerprint(certificate)),
        "valid from": f"{certificate.not_valid_before_utc:%Y-%m-%d}",
        "valid until": until,
    }
    return described | ({"file": str(file)} if file is not None else {})


def _entries(folder: "TrustFolder") -> Iterator[dict[str, Any]]:
    ours = folder.own()
    if ours is not None:
        yield _entry("own", folder.certificate, ours)
    for file, certificate in folder.files():
        yield _entry("trusted", file, certificate)


def _entry(role: str, file: Path, certificate: "Certificate") -> dict[str, Any]:
    from isthmus.field.connectors.opcua import certificates

    now = datetime.now(UTC)
    return {
        "role": role,
        "subject": certificates.subject(certificate),
        "application_uri": certificates.application_uri(certificate),
        "fingerprint": certificates.fingerprint(certificate),
        "valid_from": certificate.not_valid_before_utc.isoformat(),
        "valid_until": certificate.not_valid_after_utc.isoformat(),
        "days_left": (certificate.not_valid_after_utc - now).days,
        "expired": now > certificate.not_valid_after_utc,
        "ends_soon": bool(certificates.ends_soon(certificate, now)),
        "file": str(file),
    }


def _print(entries: list[dict[str, Any]]) -> None:
    table = Table("", "subject", "fingerprint", "valid until", "days left")
    for entry in entries:
        worry = "red" if entry["expired"] else "yellow" if entry["ends_soon"] else ""
        table.add_row(
            entry["role"], entry["subject"], entry["fingerprint"], entry["valid_until"][:10],
            str(entry["days_left"]), style=worry,
        )  # fmt: skip
    if entries:
        screen().print(table)
    else:
        print(
            "there are none yet: `isthmus certs create` makes ours, `isthmus certs trust` adds one"
        )
