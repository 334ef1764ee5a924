"""Templates: a whole page, or only what is inside `<body>` when htmx asks."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

TEMPLATES = Path(__file__).parent / "templates"


class Templates:
    """Jinja with our rules: undefined names are errors, everything is escaped."""

    def __init__(self, **always: Any) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=["jinja2.ext.do"],
        )
        self._environment.globals.update(always)

    def answer(self, name: str, context: Mapping[str, Any], status: int = 200) -> HTMLResponse:
        """The page; `full` in the context decides between the whole and its fragment."""
        text = self._environment.get_template(name).render(context)
        return HTMLResponse(text, status, {"Vary": "HX-Request"})
