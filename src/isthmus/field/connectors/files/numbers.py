"""Numbers as a file writes them, by the signs that are declared and no others: pure."""

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from isthmus.field.values import Value, from_text

_SIGNS: Final = ((".", ""), (",", ""), (".", ","), (",", "."), (".", " "), (",", " "), (".", "'"))
"""Decimal and thousands signs that people write."""
_LOOKS: Final = re.compile(r"[-+]?\d[\d.,' \u00a0\u202f]*")


@dataclass(frozen=True)
class Signs:
    """How numbers are written."""

    decimal: str = "."
    thousands: str = ""

    def read(self, text: str) -> Value:
        """A number, or the text that it is; ValueError for a number in other signs than ours."""
        text = text.replace("\u00a0", " ").replace("\u202f", " ")
        if not text or text[-1] not in "0123456789" or not text.isascii():
            self._check(text)
            return text
        if self._number.fullmatch(text) is None:
            self._check(text)
            return text
        return from_text(self._plain(text))

    def _plain(self, text: str) -> str:
        bare = text.replace(self.thousands, "") if self.thousands else text
        return bare.replace(self.decimal, ".").removeprefix("+")

    def _check(self, text: str) -> None:
        if _LOOKS.fullmatch(text) is None:
            return
        for decimal, thousands in _SIGNS:
            signs = Signs(decimal, thousands)
            if signs != self and signs._number.fullmatch(text) is not None:
                also = f' and `thousands: "{thousands}"`' if thousands in text else ""
                raise ValueError(
                    f'`{text}` is a number only with `decimal: "{decimal}"`'
                    f"{also if thousands else ''}: declare it, or name the column in `text`"
                )

    @cached_property
    def _number(self) -> re.Pattern[str]:
        decimal = re.escape(self.decimal)
        whole = r"\d+"
        if self.thousands:
            whole = rf"(?:\d{{1,3}}(?:{re.escape(self.thousands)}\d{{3}})+|\d+)"
        return re.compile(rf"[-+]?{whole}(?:{decimal}\d+)?(?:[eE][-+]?\d+)?")
