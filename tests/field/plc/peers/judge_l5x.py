"""What l5x reads of a file: types with their members, as JSON; then what it writes again."""

import json
import sys
from typing import Any

import l5x
from l5x.dom import CDATA_TAG


def description(element: Any) -> str:
    return "".join(part.text for part in element.findall(f"Description/{CDATA_TAG}"))


def members(kind: Any) -> list[dict[str, str]]:
    return [one.attrib | {"description": description(one)} for one in kind.iter("Member")]


project = l5x.Project(sys.argv[1])
types = project.doc.findall("Controller/DataTypes/DataType")
project.write(sys.argv[2])
json.dump({kind.attrib["Name"]: members(kind) for kind in types}, sys.stdout)
