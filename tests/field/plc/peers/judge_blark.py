"""What blark makes of files: an error, and the members of the first structure, as JSON."""

import json
import sys
from pathlib import Path
from typing import Any

import blark.parse


def members(item: Any) -> list[str]:
    elements = getattr(getattr(item, "declaration", None), "declarations", None) or []
    return [str(one.variables[0].name) for one in elements if hasattr(one, "variables")]


def judged(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = {"error": None, "members": []}
    for result in blark.parse.parse(path):
        if result.exception is not None:
            found["error"] = str(result.exception)
            continue
        for item in result.transform().items:
            found["members"] = found["members"] or members(item)
    return found


json.dump({name: judged(Path(name)) for name in sys.argv[1:]}, sys.stdout)
