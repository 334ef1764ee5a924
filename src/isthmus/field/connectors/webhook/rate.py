"""How many posts a second are taken."""


class Rate:
    """A bucket that holds one second's worth and fills evenly."""

    def __init__(self, a_second: int) -> None:
        self._most = float(a_second)
        self._left = self._most
        self._at: float | None = None

    def allows(self, now: float) -> bool:
        """Take one, if there is one; `now` in seconds."""
        if self._at is not None:
            self._left = min(self._most, self._left + (now - self._at) * self._most)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
