"""Local wall time to instants, by one rule that never turns time around."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from isthmus.base.clock import Micros, to_datetime, to_micros

_RESOLUTION = timedelta(seconds=1)


def instant(wall: datetime, zone: ZoneInfo) -> Micros:
    """The moment at which clocks in `zone` show the naive time `wall`.

    A time that clocks show twice means the first of the two. A time that they skip means the
    moment of the jump. So a later wall time is never an earlier moment, and two spans that touch
    on the wall touch in time.
    """
    early, late = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    # One moment mostly; two, in order, where clocks show the time twice; turned round in a jump.
    return to_micros(early if early <= late else _jump(late, early, zone))


def _jump(low: datetime, high: datetime, zone: ZoneInfo) -> datetime:
    """The moment in (low, high] at which the offset of `zone` changes."""
    old = low.astimezone(zone).utcoffset()
    while high - low > _RESOLUTION:
        middle = low + ((high - low) / 2 // _RESOLUTION) * _RESOLUTION
        if middle.astimezone(zone).utcoffset() == old:
            low = middle
        else:
            high = middle
    return high


def local(at: Micros, zone: ZoneInfo) -> datetime:
    """What clocks in `zone` show at this moment, naive."""
    return to_datetime(at).astimezone(zone).replace(tzinfo=None)
