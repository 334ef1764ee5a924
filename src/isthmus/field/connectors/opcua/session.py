"""A session with an OPC UA server: connecting, leaving, and what the driver's errors mean."""

import asyncio
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from asyncua import ua
from asyncua.client.client import Client
from asyncua.crypto.security_policies import SecurityPolicyNone
from asyncua.ua.status_codes import StatusCodes
from asyncua.ua.uaerrors import UaError, UaStatusCodeError
from cryptography.exceptions import InvalidSignature

from isthmus.field.connector import Refused, Unreachable
from isthmus.field.connectors.opcua import certificates
from isthmus.field.connectors.opcua.security import Offered, offered, secure, sign_in
from isthmus.field.connectors.opcua.spec import OpcuaSource

# The driver logs every lost link several times, with tracebacks; the runtime says it once.
logging.getLogger("asyncua").setLevel(logging.CRITICAL + 1)

DEFAULT_PORT: Final = 4840
SESSION_OUTLIVES_TIMEOUT: Final = 10
"""Timeouts a server keeps the session of a client that vanished: small controllers have few."""
FAREWELL: Final = 1.0
"""Seconds a server has to answer our goodbye."""

_USER_REFUSALS: Final = frozenset({
    StatusCodes.BadUserAccessDenied,
    StatusCodes.BadIdentityTokenInvalid,
    StatusCodes.BadIdentityTokenRejected,
    StatusCodes.BadUserSignatureInvalid,
})  # fmt: skip
_REFUSALS: Final = _USER_REFUSALS | frozenset({
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
_CHECK: Final = (
    "Check user, security and certificates; `isthmus certs show` is ours, which the server must "
    "trust. Is that done?"
)


@dataclass(frozen=True)
class Session:
    """An activated session."""

    client: Client
    endpoint: str
    attention: list[str]
    """What works, but not for long any more."""


async def connect(name: str, spec: OpcuaSource, endpoint: str) -> Session:
    """An activated session; Unreachable or Refused, and then nothing is left open."""
    client = _client(name, spec, endpoint)
    try:
        with named_errors(name, endpoint, spec.user_certificate):
            await sign_in(client, name, spec)
            attention = (
                await secure(client, name, spec, endpoint) if spec.security != "none" else []
            )
            await client.connect()
    except BaseException:
        client.disconnect_socket()
        raise
    return Session(client, endpoint, attention)


async def ways_in(name: str, spec: OpcuaSource, endpoint: str) -> list[Offered]:
    """What the server offers, with its certificates; nobody has to trust anybody for that."""
    client = _client(name, spec, endpoint)
    with named_errors(name, endpoint):
        return await offered(client)


class _Client(Client):
    """The driver's, also for servers that show their certificate in their endpoints only."""

    async def create_session(self) -> ua.CreateSessionResult:
        result = await super().create_session()
        if self._username and self.security_policy.peer_certificate is None:
            self.security_policy.peer_certificate = self._shown(result.ServerEndpoints or ())
        return result

    def _shown(self, endpoints: Iterable[ua.EndpointDescription]) -> bytes | None:
        """For which a password is encrypted, where the channel is not."""
        policy = self.server_policy(ua.UserTokenType.UserName).SecurityPolicyUri
        for shown in endpoints:
            if shown.SecurityPolicyUri == policy and shown.ServerCertificate:
                return certificates.der(next(certificates.chain(shown.ServerCertificate)))
        if policy != SecurityPolicyNone.URI:
            raise UaError("it wants the password encrypted and shows no certificate for that")
        return None


def _client(name: str, spec: OpcuaSource, endpoint: str) -> Client:
    client = _Client(_url(endpoint), spec.timeout, watchdog_intervall=spec.timeout / 2)
    client.name = client.description = f"Isthmus {name}"
    client.session_timeout = int(SESSION_OUTLIVES_TIMEOUT * spec.timeout * 1000)
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
def named_errors(name: str, endpoint: str, user: Path | None = None) -> Iterator[None]:
    """The driver's errors as Unreachable or Refused, with what to do next.

    `user`: the certificate a user is signing in with.
    """
    try:
        yield
    except UaStatusCodeError as error:
        status = ua.StatusCode(error.code)
        said = f"source `{name}`: {endpoint} says {status.name} ({status.doc})"
        if error.code in _REFUSALS:
            check = _check_user(user) if user and error.code in _USER_REFUSALS else _CHECK
            raise Refused(f"{said}. {check} `isthmus probe {name}` tries again.") from error
        raise Unreachable(said) from error
    except (UaError, InvalidSignature) as error:
        raise Refused(f"source `{name}`: {endpoint} does not suit: {error}") from error
    except OSError as error:  # also TimeoutError
        raise Unreachable(
            f"source `{name}`: no answer from {endpoint} ({str(error) or 'time is up'}). "
            f"Is it on and on this network? `isthmus probe {name}` tries now."
        ) from error


def _check_user(certificate: Path) -> str:
    return (
        f"Does the server trust the user's certificate {certificate}, and is the private key that "
        "of this certificate? Most servers keep their users' certificates in a list of their own."
    )


def _url(endpoint: str) -> str:
    if urlsplit(endpoint).port is not None:
        return endpoint
    parts = urlsplit(endpoint)
    return parts._replace(netloc=f"{parts.netloc}:{DEFAULT_PORT}").geturl()
