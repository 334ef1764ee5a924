"""What an OPC UA server offers, and trusting its certificate: `isthmus certs` for the pages."""

import socket
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import TYPE_CHECKING, Final

from cryptography import x509

from isthmus.field.connector import Refused, Unreachable
from isthmus.field.connectors.opcua import OpcuaSource, certificates
from isthmus.field.connectors.opcua.trust import TrustFolder
from isthmus.model.plant import Source
from isthmus.runtime.devices import Look, freely
from isthmus.web.workbench import Certificate, RefusedChangeError, Ways

if TYPE_CHECKING:
    from isthmus.field.connectors.opcua.security import Offered

VALID: Final = timedelta(days=1825)


async def ask_ways(source: Source, look: Look = freely) -> Ways:
    """Anybody may ask that; what went wrong is part of the answer."""
    folder = TrustFolder.of_this_site()
    try:
        found = await _offered(source, look)
    except (Unreachable, Refused) as error:
        return Ways(trouble=str(error))
    offers = tuple(dict.fromkeys((one.security, one.policy) for one in found if one.security))
    shown = next((one.chain[0] for one in found if one.chain), None)
    trusted = {fingerprint(one) for _, one in folder.files()}
    certificate = _described(shown, trusted) if shown is not None else None
    ours = folder.own()
    return Ways(offers, certificate, fingerprint(ours) if ours is not None else "")


async def trust(source: Source, seen: str, look: Look = freely) -> None:
    """The certificate is fetched again: only the one that a person compared is trusted."""
    try:
        found = await _offered(source, look)
    except (Unreachable, Refused) as error:
        raise RefusedChangeError(str(error)) from error
    shown = next((one.chain[0] for one in found if one.chain), None)
    if shown is None or fingerprint(shown) != seen:
        raise RefusedChangeError("the server shows another certificate now: compare it again")
    if wrong := certificates.out_of_date(shown, datetime.now(UTC)):
        raise RefusedChangeError(f"the certificate {wrong}: the server needs a new one first")
    TrustFolder.of_this_site().trust(shown)


def make_certificate() -> str:
    """As `isthmus certs create`; one that is there stays. The fingerprint of ours."""
    folder = TrustFolder.of_this_site()
    ours = folder.own()
    if ours is None:
        key = folder.key()
        ours = certificates.issue(key, socket.gethostname(), now=datetime.now(UTC), valid=VALID)
        folder.keep(ours, key)
    return fingerprint(ours)


def fingerprint(certificate: x509.Certificate) -> str:

    return certificates.grouped(certificates.fingerprint(certificate))


def _described(shown: x509.Certificate, trusted: set[str]) -> Certificate:

    now = datetime.now(UTC)
    return Certificate(
        subject=certificates.subject(shown),
        fingerprint=fingerprint(shown),
        until=f"{shown.not_valid_after_utc:%Y-%m-%d}",
        worry=certificates.out_of_date(shown, now) or certificates.ends_soon(shown, now),
        trusted=fingerprint(shown) in trusted,
    )


async def _offered(source: Source, look: Look) -> "list[Offered]":
    if not isinstance(source.spec, OpcuaSource):
        raise RefusedChangeError(f"`{source.name}` is no OPC UA source")
    # The driver is only loaded where somebody asks a server.
    session = import_module("isthmus.field.connectors.opcua.session")
    async with look(source, None):
        found: list[Offered] = await session.ways_in(source.name, source.spec, source.spec.endpoint)
    return found
