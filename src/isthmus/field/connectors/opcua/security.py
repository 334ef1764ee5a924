"""Securing a session: our certificate, the server's, and the user's; what to do when one fails."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from asyncua import ua
from asyncua.client.client import Client
from asyncua.crypto import security_policies
from asyncua.crypto.uacrypto import CertProperties, load_private_key
from cryptography import x509

from isthmus.field.connector import Refused
from isthmus.field.connectors.opcua import certificates
from isthmus.field.connectors.opcua.spec import OpcuaSource
from isthmus.field.connectors.opcua.trust import TrustFolder

_POLICIES: Final[Mapping[str, Any]] = {
    "Basic256Sha256": security_policies.SecurityPolicyBasic256Sha256,
    "Aes128_Sha256_RsaOaep": security_policies.SecurityPolicyAes128Sha256RsaOaep,
    "Aes256_Sha256_RsaPss": security_policies.SecurityPolicyAes256Sha256RsaPss,
}
_MODES: Final = {
    "none": ua.MessageSecurityMode.None_,
    "sign": ua.MessageSecurityMode.Sign,
    "sign_and_encrypt": ua.MessageSecurityMode.SignAndEncrypt,
}


@dataclass(frozen=True)
class Offered:
    """One way in that a server offers."""

    security: str
    """As in the spec; empty for one we do not know."""
    policy: str
    chain: tuple[x509.Certificate, ...]
    """The server's certificate, then its issuers as far as it sends them; empty without one."""


async def offered(client: Client) -> list[Offered]:
    """Asked over a channel of its own, without security: anybody may."""
    endpoints = await client.connect_and_get_server_endpoints()
    modes = {mode: word for word, mode in _MODES.items()}
    return [
        Offered(
            security=modes.get(endpoint.SecurityMode, ""),
            policy=(endpoint.SecurityPolicyUri or "").rpartition("#")[2],
            chain=tuple(certificates.chain(endpoint.ServerCertificate or b"")),
        )
        for endpoint in endpoints
        if endpoint.EndpointUrl is None or endpoint.EndpointUrl.startswith(ua.OPC_TCP_SCHEME)
    ]


async def secure(client: Client, name: str, spec: OpcuaSource, endpoint: str) -> list[str]:
    """Prepare the client for its first connection; returns what will need attention soon.

    Our own papers are read before anything is asked of the network.
    """
    folder, now = TrustFolder.of_this_site(), datetime.now(UTC)
    certificate, key = spec.certificate, spec.private_key
    if certificate is None or key is None:
        certificate, key = folder.certificate, folder.private_key
        if not certificate.exists():
            raise Refused(
                f"source `{name}`: Isthmus has no certificate yet. `isthmus certs create` makes "
                f"one; then give it to the server's administrator. `isthmus probe {name}` tries it"
            )
    ours = _ours(name, certificate, now)
    with _readable(name, f"private key {key}"):
        await load_private_key(key)
    pinned = _pinned(name, spec.pinned(endpoint))
    way = _way(await offered(client), name, spec, endpoint)
    trust = name if endpoint == spec.endpoint else endpoint
    await _check(way, pinned, folder, now, _Asked(name, endpoint, trust))
    client.application_uri = certificates.application_uri(ours) or client.application_uri
    await client.set_security(
        _POLICIES[spec.policy],
        certificate,
        key,
        server_certificate=CertProperties(certificates.der(way.chain[0]), "der"),
        mode=_MODES[spec.security],
    )
    return _attention(ours, way.chain[0], endpoint, now)


async def sign_in(client: Client, name: str, spec: OpcuaSource) -> None:
    """Who we are, beyond the certificate of the application."""
    if spec.user is not None:
        client.set_user(spec.user)
        client.set_password(spec.password.get_secret_value() if spec.password else "")
    if spec.user_certificate is not None and spec.user_private_key is not None:
        with _readable(name, f"certificate {spec.user_certificate}"):
            client.user_certificate = certificates.load(spec.user_certificate)[0]
        with _readable(name, f"private key {spec.user_private_key}"):
            await client.load_private_key(spec.user_private_key)


def _ours(name: str, path: Path, now: datetime) -> x509.Certificate:
    with _readable(name, f"certificate {path}"):
        ours = certificates.load(path)[0]
    if wrong := certificates.out_of_date(ours, now):
        raise Refused(
            f"source `{name}`: our own certificate {path.name} {wrong}. "
            "`isthmus certs create --renew` makes a new one, with the same key, for the server's "
            f"administrator to trust. Is the clock of this computer right? `isthmus probe {name}` "
            "tries again"
        )
    return ours


def _pinned(name: str, file: Path | None) -> x509.Certificate | None:
    if file is None:
        return None
    with _readable(name, f"certificate {file}"):
        return certificates.load(file)[0]


def _way(ways: list[Offered], name: str, spec: OpcuaSource, endpoint: str) -> Offered:
    for way in ways:
        if (way.security, way.policy) == (spec.security, spec.policy) and way.chain:
            return way
    there = ", ".join(dict.fromkeys(f"`{way.security}` {way.policy}".strip() for way in ways))
    raise Refused(
        f"source `{name}`: {endpoint} does not offer `{spec.security}` {spec.policy}, only "
        f"{there or 'nothing we know'}. Write what it offers, or have it switched on there"
    )


@dataclass(frozen=True)
class _Asked:
    """Whom we asked, for what we say."""

    source: str
    endpoint: str
    trust: str
    """What `isthmus certs trust` is to be told: of a set's other servers the endpoint."""


async def _check(
    way: Offered,
    pinned: x509.Certificate | None,
    folder: TrustFolder,
    now: datetime,
    asked: _Asked,
) -> None:
    """Refused, with what to type next, unless this server may be believed."""
    theirs, said = way.chain[0], f"source `{asked.source}`: the certificate of {asked.endpoint}"
    print_of = certificates.grouped(certificates.fingerprint(theirs))
    shown = f"`{certificates.subject(theirs)}`, {print_of}"
    if pinned is not None and pinned != theirs:
        raise Refused(
            f"{said} is not the one that `server_certificate` names, but {shown}. Was it renewed? "
            f"`isthmus certs trust {asked.trust}` looks at it, `isthmus probe {asked.source}` "
            "tries again"
        )
    if wrong := certificates.out_of_date(theirs, now):
        raise Refused(
            f"{said} {wrong} ({shown}). Its administrator must renew it; then `isthmus certs trust "
            f"{asked.trust}`. Is the clock of this computer right? `isthmus probe {asked.source}` "
            "tries again"
        )
    with _readable(asked.source, "the trust list"):
        trust_list = folder.trusted()
    host = urlsplit(asked.endpoint).hostname or ""
    if pinned is None and not certificates.trusted(way.chain, trust_list, host, now):
        raise Refused(
            f"{said} is not trusted: {shown}. Does the machine show the same fingerprint? Then "
            f"type `isthmus certs trust {asked.trust}`; `isthmus probe {asked.source}` tries again"
        )


def _attention(
    ours: x509.Certificate, theirs: x509.Certificate, endpoint: str, now: datetime
) -> list[str]:
    found = []
    if soon := certificates.ends_soon(ours, now):
        found.append(f"our own certificate {soon}: `isthmus certs create --renew` makes a new one")
    if soon := certificates.ends_soon(theirs, now):
        found.append(f"the certificate of {endpoint} {soon}: its administrator must renew it")
    return found


@contextmanager
def _readable(name: str, what: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, TypeError) as error:
        raise Refused(f"source `{name}`: {what}: {error}") from error
