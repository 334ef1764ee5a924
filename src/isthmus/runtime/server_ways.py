"""What an OPC UA server offers, and trusting its certificate: `isthmus certs` for the pages."""

import asyncio
import socket
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import TYPE_CHECKING, Final, NamedTuple

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
    found = await _offered(source, look)
    trusted = {fingerprint(one) for _, one in folder.files()}
    ours, offers = folder.own(), _of_all(found.ways.values())
    trouble = found.trouble
    if len(found.ways) > 1 and not offers:
        trouble = f"the servers of `{source.name}` offer no security that all of them have"
    return Ways(
        offers=offers,
        certificates=tuple(
            _described(endpoint, shown, trusted)
            for endpoint, ways in found.ways.items()
            if (shown := _shown(ways)) is not None
        ),
        ours=fingerprint(ours) if ours is not None else "",
        trouble=trouble,
    )


async def trust(source: Source, seen: str, look: Look = freely) -> None:
    """Certificates are fetched again: only the one that a person compared is trusted."""
    found = await _offered(source, look)
    if not found.ways:
        raise RefusedChangeError(found.trouble)
    every = [one for ways in found.ways.values() if (one := _shown(ways)) is not None]
    shown = next((one for one in every if fingerprint(one) == seen), None)
    if shown is None:
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


def _described(endpoint: str, shown: x509.Certificate, trusted: set[str]) -> Certificate:
    now = datetime.now(UTC)
    return Certificate(
        endpoint=endpoint,
        subject=certificates.subject(shown),
        fingerprint=fingerprint(shown),
        until=f"{shown.not_valid_after_utc:%Y-%m-%d}",
        worry=certificates.out_of_date(shown, now) or certificates.ends_soon(shown, now),
        trusted=fingerprint(shown) in trusted,
    )


def _shown(ways: "list[Offered]") -> x509.Certificate | None:
    return next((one.chain[0] for one in ways if one.chain), None)


def _of_all(servers: "Iterable[list[Offered]]") -> tuple[tuple[str, str], ...]:
    """What every server offers, in the order of the first: a source says one for all of them."""
    each = [[(one.security, one.policy) for one in ways if one.security] for ways in servers]
    first = dict.fromkeys(each[0]) if each else {}
    return tuple(one for one in first if all(one in other for other in each))


class _Found(NamedTuple):
    ways: "dict[str, list[Offered]]"
    """By endpoint, of the servers that answered."""
    trouble: str
    """A line for each that did not."""


async def _offered(source: Source, look: Look) -> _Found:
    """All servers of the source at once: one that is off must not hold up the others."""
    spec = source.spec
    if not isinstance(spec, OpcuaSource):
        raise RefusedChangeError(f"`{source.name}` is no OPC UA source")
    # The driver is only loaded where somebody asks a server.
    session = import_module("isthmus.field.connectors.opcua.session")
    endpoints = (spec.endpoint, *spec.endpoints)
    asked = (session.ways_in(source.name, spec, one) for one in endpoints)
    try:
        async with look(source, None):
            answers = await asyncio.gather(*asked, return_exceptions=True)
    except (Unreachable, Refused) as error:  # the device allows no connection more
        return _Found({}, str(error))
    ways, trouble = {}, []
    for endpoint, answer in zip(endpoints, answers, strict=True):
        if isinstance(answer, Unreachable | Refused):
            trouble.append(str(answer))
        elif isinstance(answer, BaseException):
            raise answer
        else:
            ways[endpoint] = answer
    return _Found(ways, "\n".join(trouble))
