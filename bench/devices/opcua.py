"""node-opcua's server, which is fast enough to be no limit, with variables that all change."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.peers.install import FOLDER, node

from isthmus.testing.peer import Peer


@contextmanager
def server(nodes: int, times_per_second: int) -> Iterator[Peer]:
    """All `nodes` change together, so often; `tell()` says how many changes there were."""
    with tempfile.TemporaryDirectory() as folder:
        command = [node(), "opcua_server.mjs", folder, str(nodes), str(times_per_second)]
        with Peer(command, Path(FOLDER)) as peer:
            yield peer


def tags(nodes: int) -> list[str]:
    return [f"ns=2;s=T{number}" for number in range(nodes)]
