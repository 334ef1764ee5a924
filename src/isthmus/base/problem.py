"""What is wrong, where, why, and what to do next: the form of every finding Isthmus reports."""

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from isthmus.base.german import Language, said

Severity = Literal["error", "warning"]


@dataclass(frozen=True, order=True)
class Place:
    """A spot in a file; line and column count from 1, as editors do."""

    file: str
    line: int
    column: int
    length: int = 1


@dataclass(frozen=True)
class Problem:
    """One finding. `code` is stable and documented under docs/reference/problems.md."""

    code: str
    address: str
    """Dotted path in the model, e.g. `sites.hamburg.machines.im-07.source`; may be empty."""
    message: str
    place: Place | None = None
    hint: str = ""
    source_line: str = ""
    """The line of the file the place points at, for the caret picture."""
    severity: Severity = "error"

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def translated(self, language: Language) -> "Problem":
        """With message and hint for a person who reads `language`."""
        message, hint = said(self.message, language), said(self.hint, language)
        return replace(self, message=message, hint=hint)

    def render(self, language: Language = "en") -> str:
        r"""The picture a person reads: head, place, source line with caret, hint."""
        head = f"{said(self.severity, language)}[{self.code}]"
        message = said(self.message, language)
        lines = [f"{head} {self.address}: {message}" if self.address else f"{head} {message}"]
        if self.place is not None:
            lines.append(f"  --> {self.place.file}:{self.place.line}:{self.place.column}")
            if self.source_line:
                number = f"{self.place.line:>5}"
                pad = " " * (self.place.column - 1)
                carets = "^" * max(1, self.place.length)
                lines += [f"{number} | {self.source_line}", f"{' ' * 5} | {pad}{carets}"]
        if self.hint:
            lines.append(f"{said('hint', language)}: {said(self.hint, language)}")
        return "\n".join(lines)


class ProblemsError(Exception):
    """Raised where work cannot go on because of one or more problems."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n\n".join(problem.render() for problem in problems))
        self.problems = problems
