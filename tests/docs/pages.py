"""Where the documentation lies, and how a cell of a table is written."""

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
DOCS: Final = ROOT / "docs"
REFERENCE: Final = DOCS / "reference"


def made_from(what: str) -> str:
    """The first line of a page that nobody edits."""
    return f"<!-- Made by `make golden` from {what}; edit that instead. -->\n"


def cell(text: str) -> str:
    return text.replace("\n", " ").replace("|", "\\|")
