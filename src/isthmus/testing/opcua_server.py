"""An OPC UA server for tests and benchmarks, in a thread of its own so that it may be busy."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar

from asyncua import ua
from asyncua.crypto import cert_gen
from asyncua.crypto.permission_rules import User, UserRole
from asyncua.server.server import Server
from asyncua.server.user_managers import UserManager
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from isthmus.testing.tcp_proxy import LOOPBACK

T = TypeVar("T")

NAMESPACE = "urn:isthmus:testing"
"""Becomes namespace 2 of the server."""
PATIENCE = 120.0
"""Seconds for a start or stop, which takes one; a busy machine is no server that hangs."""


class OpcuaServer:
    """A server with one variable per tag, in one folder `Machine`.

    `users` (name → password): nobody else gets in, except the holders of `user_certificates`.
    `certificate` and `private_key`: the server offers signed and encrypted endpoints only. The
    port stays the same after a restart.
    """

    def __init__(
        self,
        variables: Mapping[str, ua.Variant],
        *,
        users: Mapping[str, str] | None = None,
        user_certificates: Sequence[Path] = (),
        certificate: Path | None = None,
        private_key: Path | None = None,
    ) -> None:
        self.port = 0
        self._variables = variables
        self._users = users
        self._user_certificates = frozenset(file.read_bytes() for file in user_certificates)
        self._certificate = certificate
        self._private_key = private_key
        self._loop = asyncio.new_event_loop()
        self._server: Server | None = None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._loop.run_forever, name="opcua-server")
        self._thread.start()
        try:
            self.start()
        except BaseException:
            self._end_thread()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.stop()
        finally:
            self._end_thread()

    def start(self) -> None:
        self._wait(self._start())

    def stop(self) -> None:
        """Stop as a server does that is shut down; its sessions and subscriptions are gone."""
        if self._server is not None:
            self._wait(self._server.stop())
            self._server = None

    async def set(self, tag: str, value: Any) -> None:
        """The machine changes a variable; its type stays."""
        variant = ua.Variant(value, self._variables[tag].VariantType)
        now: Any = datetime.now(UTC)
        await self.write(tag, ua.DataValue(variant, SourceTimestamp=now, ServerTimestamp=now))

    async def write(self, tag: str, value: ua.DataValue) -> None:
        """As `set`, with status and time stamps as given."""
        node = ua.NodeId.from_string(tag)
        await self.run(lambda server: server.iserver.write_attribute_value(node, value))

    async def run(self, work: Callable[[Server], Awaitable[T]]) -> T:
        """Do something with the server, in its own loop."""
        server = self._server
        if server is None:
            raise RuntimeError("the server is stopped")

        async def there() -> T:
            return await work(server)

        future = asyncio.run_coroutine_threadsafe(there(), self._loop)
        return await asyncio.wrap_future(future)

    async def _start(self) -> None:
        known = _Users(self._users or {}, self._user_certificates)
        server = Server(user_manager=known if self._users or self._user_certificates else None)
        await server.init()
        server.set_endpoint(f"opc.tcp://{LOOPBACK}:{self.port}")
        await self._secure(server)
        await server.register_namespace(NAMESPACE)
        folder = await server.nodes.objects.add_object(2, "Machine")
        for tag, value in self._variables.items():
            node = ua.NodeId.from_string(tag)
            await folder.add_variable(node, str(node.Identifier), value)
        await server.start()
        self.port = server.bserver._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]  # noqa: SLF001
        self._server = server

    async def _secure(self, server: Server) -> None:
        kinds = ua.SecurityPolicyType
        if self._certificate is None or self._private_key is None:
            server.set_security_policy([kinds.NoSecurity])
            return
        await server.load_certificate(self._certificate)
        await server.load_private_key(self._private_key)
        server.set_security_policy([
            kinds.Basic256Sha256_Sign,
            kinds.Basic256Sha256_SignAndEncrypt,
            kinds.Aes128Sha256RsaOaep_Sign,
            kinds.Aes128Sha256RsaOaep_SignAndEncrypt,
            kinds.Aes256Sha256RsaPss_Sign,
            kinds.Aes256Sha256RsaPss_SignAndEncrypt,
        ])  # fmt: skip

    def _wait(self, work: Awaitable[T]) -> T:
        async def there() -> T:
            return await work

        return asyncio.run_coroutine_threadsafe(there(), self._loop).result(PATIENCE)

    def _end_thread(self) -> None:
        self._wait(_end_all_tasks())  # the driver leaves those of sessions that were cut
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _end_all_tasks() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


class Papers(NamedTuple):
    """A self-signed application certificate and its key."""

    certificate: Path
    private_key: Path


def papers(folder: Path, name: str, *, days: int = 365, hosts: Sequence[str] = ()) -> Papers:
    """Issue them into a folder; with negative `days` they have expired."""
    key = cert_gen.generate_private_key()
    certificate = cert_gen.generate_self_signed_app_certificate(
        key,
        name,
        {"organizationName": "Acme"},
        [
            x509.UniformResourceIdentifier(f"urn:acme:{name}"),
            *(x509.DNSName(host) for host in ("localhost", *hosts)),
        ],
        extended=[ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH],
        days=days,
    )
    issued = Papers(folder / f"{name}.der", folder / f"{name}.pem")
    issued.certificate.write_bytes(certificate.public_bytes(Encoding.DER))
    issued.private_key.write_bytes(cert_gen.dump_private_key_as_pem(key))
    return issued


class _Users(UserManager):
    def __init__(self, users: Mapping[str, str], certificates: frozenset[bytes]) -> None:
        self._users = users
        self._certificates = certificates

    def get_user(
        self,
        iserver: Any,
        username: str | None = None,
        password: str | None = None,
        certificate: Any = None,
    ) -> User | None:
        del iserver
        if username is not None:
            known = self._users.get(username) == password
        else:
            known = _der(certificate) in self._certificates
        return User(role=UserRole.User, name=username or "certificate") if known else None


def _der(certificate: Any) -> bytes:
    """The driver hands over what came, or what it made of it."""
    if isinstance(certificate, x509.Certificate):
        return certificate.public_bytes(Encoding.DER)
    return certificate or b""
