"""Puts environment variables and secrets into a document, after it was parsed."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Any, Final

from isthmus.base.problem import Problem
from isthmus.model.document import Document, ListNode, MappingNode, Node, Path, Scalar
from isthmus.model.scalars import plain_value
from isthmus.model.suggest import did_you_mean

SECRET_HOMES: Final = frozenset({"sources", "systems"})

_REFERENCE: Final = re.compile(r"\$?\$\{([^{}]*)\}")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


def secret_variable(name: str) -> str:
    """The environment variable that holds a secret: `sap-user` → `ISTHMUS_SECRET_SAP_USER`."""
    return "ISTHMUS_SECRET_" + re.sub(r"\W", "_", name).upper()


@dataclass
class Filling:
    """One document on its way; what is missing becomes a problem."""

    document: Document
    env: Mapping[str, str]
    secrets: Mapping[str, str]
    problems: list[Problem] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    """Secret values that were put in: they must never be shown."""
    unfilled: set[int] = field(default_factory=set)

    def filled(self) -> Document:
        data = self._value(self.document.root, ())
        return replace(self.document, data=data, unfilled=frozenset(self.unfilled))

    def _value(self, node: Node, path: Path) -> Any:
        match node:
            case Scalar():
                return self._scalar(node, path)
            case MappingNode():
                return {key: self._value(pair[1], (*path, key)) for key, pair in node.pairs.items()}
            case ListNode():
                return [self._value(item, (*path, i)) for i, item in enumerate(node.items)]

    def _scalar(self, node: Scalar, path: Path) -> Any:
        if node.secret:
            return self._secret(node, path)
        text = self._expand(node, path) if "${" in node.text else node.text
        value = plain_value(text) if node.plain else text
        if isinstance(value, float) and not isfinite(value):
            self._miss(node, "M014", path, f"`{node.text}` is not a finite number")
            return 0.0
        return value

    def _expand(self, node: Scalar, path: Path) -> str:
        def variable(found: re.Match[str]) -> str:
            if found[0].startswith("$$"):
                return found[0][1:]
            name, has_default, default = found[1].partition(":-")
            if not _VARIABLE.match(name):
                message = f"`{found[0]}` does not name an environment variable"
                self._miss(node, "M005", path, message, f"write `${found[0]}` for the text itself")
            elif has_default:
                return self.env.get(name) or default  # as in a shell: empty counts as not set
            elif name not in self.env:
                message = f"the environment variable `{name}` is not set"
                self._miss(node, "M005", path, message, f"set it: `{name}=… isthmus check`")
            return self.env.get(name, "")

        return _REFERENCE.sub(variable, node.text)

    def _secret(self, node: Scalar, path: Path) -> str:
        name = node.text
        if not SECRET_HOMES.intersection(path[:1]):
            self._miss(
                node,
                "M009",
                path,
                "a secret can stand only in a source or a system",
                "everything else of the model may be shown on pages and in plans",
            )
            return ""
        value = self.env.get(secret_variable(name), self.secrets.get(name))
        if value is None:
            remedy = f"add it to secrets.yaml or set {secret_variable(name)}"
            hint = "; ".join(filter(None, (did_you_mean(name, self.secrets), remedy)))
            self._miss(node, "M006", path, f"no secret `{name}`", hint)
            return ""
        self.used.add(value)
        return value

    def _miss(self, node: Scalar, code: str, path: Path, message: str, hint: str = "") -> None:
        self.unfilled.add(id(node))
        self.problems.append(self.document.problem(code, path, message, hint))
