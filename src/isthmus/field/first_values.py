"""Which tags have not come yet since the connection was opened."""

from collections.abc import Iterable

LONGEST_SILENCES = 10
"""A source that never falls silent: its missing tags are named after this many silences."""


class FirstValues:
    """Names the tags that did not come by themselves, once, when the source falls silent.

    MQTT and SHDR send the present values after connecting but never say which was the last.
    """

    def __init__(self, tags: Iterable[str], silence: float, now: float) -> None:
        self._waiting = dict.fromkeys(tags)
        self._silence = silence
        self._due = now + silence
        self._latest = now + silence * LONGEST_SILENCES

    def __bool__(self) -> bool:
        """Whether any tag is still awaited."""
        return bool(self._waiting)

    def came(self, tags: Iterable[str], now: float) -> None:
        """These tags came at `now` (seconds of the event loop)."""
        if not self._waiting:
            return
        for tag in tags:
            self._waiting.pop(tag, None)
        self._due = min(now + self._silence, self._latest)

    def wait(self, now: float, longest: float) -> float:
        """Seconds a `read()` may wait, so that `due` is asked in time."""
        return max(0.0, min(longest, self._due - now)) if self._waiting else longest

    def due(self, now: float) -> list[str]:
        """The tags to be reported as waiting for their first value; each only once."""
        if not self._waiting or now < self._due:
            return []
        waiting = list(self._waiting)
        self._waiting.clear()
        return waiting
