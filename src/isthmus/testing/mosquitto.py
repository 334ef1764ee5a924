"""Debian's mosquitto as a child process: the independent broker of the MQTT tests."""

import asyncio
import json
import os
import pwd
import random
import shutil
import socket
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

PROGRAM = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin")

needs_mosquitto = pytest.mark.skipif(
    PROGRAM is None, reason="mosquitto is not installed: `apt-get install mosquitto`"
)


_GIVEN = Path("/proc/sys/net/ipv4/ip_local_port_range")
_CHANCE = random.SystemRandom()  # not the one that tests seed: parallel ones would agree


def free_port() -> int:
    """Of loopback, for a server that starts soon: until then the system gives it to nobody."""
    given = int(_GIVEN.read_text().split()[0]) if _GIVEN.exists() else 32_768
    while True:
        port = _CHANCE.randrange(10_000, given) if given > 20_000 else 0
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])


class Mosquitto:
    """A broker that keeps its sessions in a folder, so that it can be restarted."""

    def __init__(self, folder: Path, *more: str) -> None:
        self.port = free_port()
        self._config = folder / "mosquitto.conf"
        lines = [
            f"listener {self.port} 127.0.0.1",
            "persistence true",
            f"persistence_location {folder}/",
            "autosave_interval 1",
            "sys_interval 0",
            f"user {pwd.getpwuid(os.getuid()).pw_name}",
            *(more or ["allow_anonymous true"]),
        ]
        self._config.write_text("\n".join(lines) + "\n")
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        assert PROGRAM is not None
        self._process = await asyncio.to_thread(_run, PROGRAM, self._config)
        deadline = asyncio.get_running_loop().time() + 10
        while not await self._answers():
            assert asyncio.get_running_loop().time() < deadline, "mosquitto does not start"
            assert self._process.poll() is None, "mosquitto ended at once"
            await asyncio.sleep(0.02)

    async def stop(self) -> None:
        """Orderly: sessions and retained messages are on its disk."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            await asyncio.to_thread(process.wait, 10)

    async def publish(
        self, *messages: tuple[str, str | bytes], retain: bool = False, qos: int = 1
    ) -> None:
        """Returns when the broker has them."""
        await publish(self.port, *messages, retain=retain, qos=qos)

    async def _answers(self) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        writer.close()
        await writer.wait_closed()
        return True


async def publish(
    port: int, *messages: tuple[str, str | bytes], retain: bool = False, qos: int = 1
) -> None:
    """Returns when the broker on this port has them."""
    await asyncio.to_thread(_publish, port, messages, retain, qos)


def _run(program: str, config: Path) -> subprocess.Popen[bytes]:
    silent = subprocess.DEVNULL
    return subprocess.Popen([program, "-c", str(config)], stdout=silent, stderr=silent)  # noqa: S603


def _publish(
    port: int,
    messages: Sequence[tuple[str, str | bytes]],
    retain: bool,  # noqa: FBT001 - as paho has it
    qos: int,
) -> None:
    client = Client(CallbackAPIVersion.VERSION2, client_id="machine")
    client.connect("127.0.0.1", port)
    client.loop_start()
    try:
        for topic, payload in messages:
            client.publish(topic, payload, qos, retain).wait_for_publish(10)
    finally:
        client.disconnect()
        client.loop_stop()


def with_passwords(folder: Path, *names: str) -> Sequence[str]:
    """Settings for a broker that wants a password; it is `secret` for everybody."""
    passwords = folder / "passwords"
    passwords.touch(mode=0o600)
    for name in names:
        command = ["mosquitto_passwd", "-b", str(passwords), name, "secret"]
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603
    return [f"password_file {passwords}"]


def with_subscriptions_only_to(folder: Path, topic_filter: str) -> Sequence[str]:
    """Settings for a broker that answers other subscriptions with a refusal."""
    plugin = next(Path("/usr/lib").glob("**/mosquitto_dynamic_security.so"), None)
    if plugin is None:
        pytest.skip("mosquitto's dynamic security plugin is not installed")
    allowed = {"acltype": "subscribePattern", "topic": topic_filter, "allow": True}
    rights = {
        "defaultACLAccess": {
            "publishClientSend": True,
            "publishClientReceive": True,
            "subscribe": False,
            "unsubscribe": True,
        },
        "anonymousGroup": "everybody",
        "groups": [{"groupname": "everybody", "roles": [{"rolename": "reader"}]}],
        "roles": [{"rolename": "reader", "acls": [allowed]}],
        "clients": [],
    }
    config = folder / "rights.json"
    config.write_text(json.dumps(rights))
    return ["allow_anonymous true", f"plugin {plugin}", f"plugin_opt_config_file {config}"]


def certificate(folder: Path, name: str, issuer: str = "") -> None:
    """Make NAME.pem and NAME.key for loopback, signed by the issuer's or by itself."""
    command = [
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
        "-nodes", "-keyout", str(folder / f"{name}.key"), "-out", str(folder / f"{name}.pem"),
        "-days", "1", "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1",
    ]  # fmt: skip
    if issuer:
        command += ["-CA", str(folder / f"{issuer}.pem"), "-CAkey", str(folder / f"{issuer}.key")]
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603
