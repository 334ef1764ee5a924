"""Log lines: one per event, in UTC, readable by people or programs."""

import io
import json
import logging
from collections.abc import Iterator

import pytest

from isthmus.base.telemetry import configure_logging

LOG = logging.getLogger("isthmus.test")


@pytest.fixture(autouse=True)
def _root() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level


def test_text_line_has_time_level_and_fields():
    stream = io.StringIO()
    configure_logging("info", stream=stream)
    LOG.warning("lost: no answer for %d s", 5, extra={"source": "im07"})
    time, _, rest = stream.getvalue().partition(" ")
    assert time.endswith("Z")
    assert rest == "warning source=im07 lost: no answer for 5 s\n"


def test_json_line_is_one_object():
    stream = io.StringIO()
    configure_logging("info", "json", stream)
    LOG.warning("lost", extra={"source": "im07"})
    line = json.loads(stream.getvalue())
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "warning", "logger": "isthmus.test", "message": "lost", "source": "im07",
    }  # fmt: skip


def test_foreign_text_cannot_forge_a_line():
    stream = io.StringIO()
    configure_logging("info", stream=stream)
    LOG.warning("tag %s", "x\n2026-01-01T00:00:00Z error all is lost")
    assert stream.getvalue().count("\n") == 1


def test_exception_is_told_in_both_forms():
    for form in ("text", "json"):
        stream = io.StringIO()
        configure_logging("info", form, stream)
        try:
            int("broken")
        except ValueError:
            LOG.exception("failed")
        assert "ValueError: invalid literal" in stream.getvalue()


def test_second_call_does_not_say_everything_twice():
    first, second = io.StringIO(), io.StringIO()
    configure_logging("info", stream=first)
    configure_logging("warning", stream=second)
    LOG.info("quiet")
    LOG.warning("loud")
    assert first.getvalue() == ""
    assert second.getvalue().count("loud") == 1
