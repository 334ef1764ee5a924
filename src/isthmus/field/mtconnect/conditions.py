"""The conditions of one data item: several may be active at once, told apart by their code."""

from typing import Final, Literal

from isthmus.field.values import BAD_DECODING, Value, cut
from isthmus.flow.parcel import BAD_NOT_CONNECTED, GOOD

Level = Literal["NORMAL", "WARNING", "FAULT", "UNAVAILABLE"]

_ACTIVE: Final = frozenset({"WARNING", "FAULT"})


class Conditions:
    """What is active now, as one text.

    `NORMAL`, or `LEVEL:code` of each active condition, sorted and joined by `;`, such as
    `FAULT:410;WARNING:17`; `LEVEL` alone where a condition has no code.
    """

    def __init__(self) -> None:
        self._active: dict[str, tuple[str, str]] = {}
        """Activation → level, code."""
        self._known = False
        self._broken = ""

    def observe(self, level: str, code: str, activation: str = "") -> None:
        """Take in one observation; NORMAL without a code clears all, with one only its own.

        `activation` (conditionId, since version 2.3) tells two activations of one code apart.
        """
        level = level.upper()
        self._broken = ""
        if level in _ACTIVE:
            self._active[activation or code] = (level, code)
        elif level == "NORMAL" and activation in self._active:
            del self._active[activation]
        elif level == "NORMAL" and code:
            self._active = {key: one for key, one in self._active.items() if one[1] != code}
        elif level in ("NORMAL", "UNAVAILABLE"):
            self._active.clear()
        else:
            self._broken = f"{level}:{code}" if code else level
        self._known = level != "UNAVAILABLE"

    def value(self, *, level_only: bool) -> tuple[Value, int]:
        """The text and its quality; `level_only`: the worst level without the codes."""
        if self._broken:
            return cut(self._broken), BAD_DECODING
        if not self._known:
            return None, BAD_NOT_CONNECTED
        active = self._active.values()
        if not active:
            return "NORMAL", GOOD
        if level_only:
            return min(level for level, _ in active), GOOD  # FAULT sorts before WARNING
        return ";".join(sorted({":".join(filter(None, one)) for one in active})), GOOD
