"""What a person sets from outside; names are promises (docs/reference/settings.md)."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

LEVELS = ("debug", "info", "warning", "error")


class SettingsError(ValueError):
    """An environment variable is wrong; the text says which, why and what it may be."""


class NoModelError(SettingsError):
    """No model is where it is looked for; the text says where, and how to name it."""


@dataclass(frozen=True)
class Settings:
    """`ISTHMUS_DATA`, `ISTHMUS_PORT`, `ISTHMUS_HOST`, `ISTHMUS_LOG`."""

    data: Path = Path("data")
    port: int = 8080
    host: str = "127.0.0.1"
    """Loopback unless asked: put a TLS proxy in front before you open it."""
    log: str = "info"

    @property
    def lake(self) -> Path:
        return self.data / "lake"

    @property
    def logs(self) -> Path:
        return self.data / "log"

    @property
    def control(self) -> Path:
        """Unix socket on which `isthmus apply` talks to the running platform."""
        return self.data / "control.sock"

    @staticmethod
    def of(env: Mapping[str, str] | None = None) -> "Settings":
        env = os.environ if env is None else env
        return Settings(
            data=Path(env.get("ISTHMUS_DATA") or "data").resolve(),
            port=_port(env.get("ISTHMUS_PORT") or "8080"),
            host=env.get("ISTHMUS_HOST") or "127.0.0.1",
            log=_level(env.get("ISTHMUS_LOG") or "info"),
        )


def _port(text: str) -> int:
    if not text.isdigit() or not 0 < int(text) < 65_536:
        raise SettingsError(f"ISTHMUS_PORT is `{text}`: write a port from 1 to 65535")
    return int(text)


def _level(text: str) -> str:
    if text.lower() not in LEVELS:
        raise SettingsError(f"ISTHMUS_LOG is `{text}`: write one of {', '.join(LEVELS)}")
    return text.lower()
