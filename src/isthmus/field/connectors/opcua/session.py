"""A session with an OPC UA server: connecting, security, and what the driver's errors mean."""

import asyncio
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from asyncua import ua
from asyncua.client.client import Client
from asyncua.crypto import security_policies
from asyncua.crypto.uacrypto import CertProperties, load_certificate, load_private_key
from asyncua.ua.status_codes import StatusCodes
from asyncua.ua.uaerrors import UaError, UaStatusCodeError
from cryptography import x509
from cryptography.exceptions import InvalidSignature

from isthmus.field.connector import Refused, Unreachable
from isthmus.field.connectors.opcua.spec import OpcuaSource

# The driver logs every lost link several times, with tracebacks; the runtime says it once.
logging.getLogger("asyncua").setLevel(logging.CRITICAL + 1)

DEFAULT_PORT: Final = 4840
SESSION_OUTLIVES_TIMEOUT: Final = 10
"""Timeouts a server keeps the session of a client that vanished: small controllers have few."""
FAREWELL: Final = 1.0
"""Seconds a server has to answer our goodbye."""

_POLICIES: Final[Mapping[str, Any]] = {
    "Basic256Sha256": security_policies.SecurityPolicyBasic256Sha256,
    "Aes128_Sha256_RsaOaep": security_policies.SecurityPolicyAes128Sha256RsaOaep,
    "Aes256_Sha256_RsaPss": security_policies.SecurityPolicyAes256Sha256RsaPss,
}
_MODES: Final = {
    "sign": ua.MessageSecurityMode.Sign,
    "sign_and_encrypt": ua.MessageSecurityMode.SignAndEncrypt,
}
_REFUSALS: Final = frozenset({
    StatusCodes.BadUserAccessDenied,
    StatusCodes.BadIdentityTokenInvalid,
    StatusCodes.BadIdentityTokenRejected,
    StatusCodes.BadUserSignatureInvalid,
    StatusCodes.BadApplicationSignatureInvalid,
    StatusCodes.BadSecurityChecksFailed,
    StatusCodes.BadSecurityModeRejected,
    StatusCodes.BadSecurityPolicyRejected,
    StatusCodes.BadCertificateInvalid,
    StatusCodes.BadCertificateUntrusted,
    StatusCodes.BadCertificateRevoked,
    StatusCodes.BadCertificateTimeInvalid,
    StatusCodes.BadCertificateUriInvalid,
    StatusCodes.BadCertificateHostNameInvalid,
    StatusCodes.BadCertificateUseNotAllowed,
    StatusCodes.BadCertificateChainIncomplete,
    StatusCodes.BadCertificatePolicyCheckFailed,
    StatusCodes.BadTcpEndpointUrlInvalid,
    StatusCodes.BadServerUriInvalid,
    StatusCodes.BadLicenseExpired,
})  # fmt: skip


async def connect(name: str, spec: OpcuaSource) -> Client:
    """An activated session; Unreachable or Refused, and then nothing is left open."""
    client = Client(_url(spec.endpoint), spec.timeout, watchdog_intervall=spec.timeout / 2)
    client.name = client.description = f"Isthmus {name}"
    client.session_timeout = int(SESSION_OUTLIVES_TIMEOUT * spec.timeout * 1000)
    if spec.user is not None:
        client.set_user(spec.user)
        client.set_password(spec.password.get_secret_value() if spec.password else "")
    try:
        with named_errors(name, spec.endpoint):
            if spec.security != "none":
                await _secure(client, name, spec)
            await client.connect()
    except BaseException:
        client.disconnect_socket()
        raise
    return client


async def disconnect(client: Client, *, lost: bool) -> None:
    """Leave nothing open; a lost link gets no goodbye, there is nobody to hear it."""
    protocol = client.uaclient.protocol
    if lost and protocol is not None and not protocol.is_closed:
        protocol.disconnect_socket()
        while not protocol.is_closed:  # noqa: ASYNC110 - the driver has no event for it
            await asyncio.sleep(0)
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL):
                await client.disconnect()
    finally:
        client.disconnect_socket()


@contextmanager
def named_errors(name: str, endpoint: str) -> Iterator[None]:
    """The driver's errors as Unreachable or Refused, with what to do next."""
    try:
        yield
    except UaStatusCodeError as error:
        status = ua.StatusCode(error.code)
        said = f"source `{name}`: {endpoint} says {status.name} ({status.doc})"
        if error.code in _REFUSALS:
            raise Refused(f"{said}. Check user, security and certificates.") from error
        raise Unreachable(said) from error
    except (UaError, InvalidSignature) as error:
        raise Refused(f"source `{name}`: {endpoint} does not suit: {error}") from error
    except OSError as error:  # also TimeoutError
        raise Unreachable(
            f"source `{name}`: no answer from {endpoint} ({error or 'time is up'}). "
            f"Is it on and on this network? `isthmus probe {name}` tries now."
        ) from error


def _url(endpoint: str) -> str:
    if urlsplit(endpoint).port is not None:
        return endpoint
    parts = urlsplit(endpoint)
    return parts._replace(netloc=f"{parts.netloc}:{DEFAULT_PORT}").geturl()


async def _secure(client: Client, name: str, spec: OpcuaSource) -> None:
    """Read our certificate and key before any network; then ask for the server's endpoints."""
    if spec.certificate is None or spec.private_key is None:
        raise AssertionError("the spec promises both")
    ours = await _certificate(name, spec.certificate)
    client.application_uri = _application_uri(ours) or client.application_uri
    try:
        await load_private_key(spec.private_key)
    except (OSError, ValueError, TypeError) as error:
        raise Refused(f"source `{name}`: private key {spec.private_key}: {error}") from error
    theirs = spec.server_certificate
    if theirs is not None:
        await _certificate(name, theirs)
    await client.set_security(
        _POLICIES[spec.policy],
        spec.certificate,
        spec.private_key,
        server_certificate=CertProperties(theirs) if theirs is not None else None,
        mode=_MODES[spec.security],
    )


async def _certificate(name: str, path: Path) -> x509.Certificate:
    try:
        certificate: x509.Certificate = await load_certificate(path)
    except (OSError, ValueError) as error:
        raise Refused(f"source `{name}`: certificate {path}: {error}") from error
    return certificate


def _application_uri(certificate: x509.Certificate) -> str | None:
    """The URI our certificate speaks for: servers refuse a session that claims another."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return None
    uris = names.value.get_values_for_type(x509.UniformResourceIdentifier)
    return uris[0] if uris else None
