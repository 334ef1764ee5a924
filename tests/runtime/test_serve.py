"""What keeps the platform from starting is said in one line, not as a traceback."""

import os
import socket
import subprocess
import sys
from pathlib import Path

MODEL = Path(__file__).parents[2] / "examples" / "acme"


def started(data: Path, port: int) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "ISTHMUS_DATA": str(data), "ISTHMUS_PORT": str(port)}
    command = [sys.executable, "-m", "isthmus.runtime.serve", str(MODEL)]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=60)


def test_port_in_use_is_named_before_anything_is_opened(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = started(tmp_path / "data", port)
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"127.0.0.1:{port} cannot be used: Address already in use.")
    assert "ISTHMUS_PORT" in ended.stderr
    assert not (tmp_path / "data").exists()


def test_damaged_log_is_named_with_what_to_do(tmp_path):
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "hamburg.sqlite").write_bytes(b"no database" * 1000)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    ended = started(tmp_path, port)
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert "hamburg.sqlite: file is not a database. Nothing was read over." in ended.stderr
