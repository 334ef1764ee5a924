"""Every quarantine code is documented, and every documented one exists."""

import re
from pathlib import Path

from isthmus.field.quarantine import Why

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "quarantine.md"


def test_every_code_is_documented() -> None:
    documented = re.findall(r"^\| (Q0\d\d) \|", PAGE.read_text(), flags=re.MULTILINE)
    assert documented == [why.code for why in Why if why is not Why.FINE]
