"""Browse: the address space of one source, searched, and live values of what is chosen."""

from collections.abc import Mapping
from typing import Any, Final

from starlette.exceptions import HTTPException

from isthmus.web.api import PREFIX
from isthmus.web.api.connect import MOST_LISTENED
from isthmus.web.page import Ask, Page
from isthmus.web.pages.connect import address_of
from isthmus.web.pages.connect_texts import BROWSE
from isthmus.web.scope import machine_title

_SPOKEN: Final = "browse."


def show(ask: Ask) -> Mapping[str, Any]:
    platform = ask.platform
    source = platform.workbench.source(ask.view.sel)
    if ask.view.sel and source is None:
        raise HTTPException(404)
    if source is None:
        return {"source": None, "island": {}, "machines": [], "address": ""}
    machines = [platform.plant.machines[path] for path in source.machines]
    return {
        "source": source,
        "address": address_of(source),
        "machines": [(one.path, machine_title(one)) for one in machines],
        "island": {
            "api": f"{PREFIX}/connect/{source.name}",
            "csrf": ask.user.csrf,
            "most": MOST_LISTENED,
            "language": ask.f.language,
            "zone": ask.f.timezone,
            "words": _words(ask),
        },
    }


def _words(ask: Ask) -> dict[str, str]:
    """Everything the island says, with its gaps still open."""
    return {
        key.removeprefix(_SPOKEN): getattr(text, ask.t.language) for key, text in BROWSE.items()
    }


BROWSE_PAGE = Page(
    "browse", "integrate", "plug", show, BROWSE, live=True, compares=False, role="engineer",
    default_range="", listed=False, crumbs_to="connect", template="connect_browse.html",
)  # fmt: skip
