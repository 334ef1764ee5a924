"""How commands print: tags, units and texts as they were written, none of it taken for markup."""

from rich.console import Console


def screen(*, errors: bool = False, width: int | None = None) -> Console:
    """Rich would make a picture of `:100:`, and a style of `[degF]`."""
    return Console(stderr=errors, width=width, highlight=False, markup=False, emoji=False)
