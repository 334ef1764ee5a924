"""What the platform says about itself: log lines in UTC, for people or for programs."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, Final, Literal, TextIO

LogFormat = Literal["text", "json"]

_OWN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
"""What every record has; everything beside it was handed over as `extra`."""


def configure_logging(
    level: str, form: LogFormat = "text", stream: TextIO | None = None
) -> logging.Handler:
    """Send the log of this process to `stream` (stderr), one line per event.

    Replaces what was configured before, so that a second call does not say everything twice.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    return handler


class TextLines(logging.Formatter):
    """`2026-11-22T13:04:05Z warning source=im07 lost: no answer for 5 s`."""

    def format(self, record: logging.LogRecord) -> str:
        fields = [f"{name}={value}" for name, value in _extra(record).items()]
        head = " ".join([_time(record), record.levelname.lower(), *fields])
        # A log line is one line, whoever sent the text: nobody can forge the next one.
        text = f"{head} {record.getMessage()}".replace("\r", "\\r").replace("\n", "\\n")
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text


class JsonLines(logging.Formatter):
    """One JSON object per line, with what was handed over as `extra` beside the message."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_extra(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def _time(record: logging.LogRecord) -> str:
    at = datetime.fromtimestamp(record.created, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in _OWN}
