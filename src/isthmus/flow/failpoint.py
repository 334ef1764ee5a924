"""Named points at which a test lets the process die; in normal operation they do nothing."""

import os
import signal
from typing import Final, Literal, get_args

Point = Literal[
    "append.before",
    "append.after",
    "put.after",
    "commit.before",
    "commit.after",
    "sync.after",
    "confirm.before",
    "confirm.after",
    "acknowledge.before",
    "acknowledge.after",
    "release.middle",
]
POINTS: Final[tuple[Point, ...]] = get_args(Point)

_name, _, _count = os.environ.get("ISTHMUS_FAILPOINT", "").partition(":")
_left = int(_count or 1)


def reach(point: Point) -> None:
    """Die here, as by `kill -9`, if ISTHMUS_FAILPOINT says `point`, or `point:3` the third time."""
    global _left  # noqa: PLW0603 - one countdown per process is what is meant
    if point != _name:
        return
    _left -= 1
    if _left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
