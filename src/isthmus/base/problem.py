"""What is wrong, where, why, and what to do next: the form of every finding Isthmus reports."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

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

    def render(self) -> str:
        r"""The picture a person reads: head, place, source line with caret, hint."""
        head = f"{self.severity}[{self.code}]"
        lines = [
            f"{head} {self.address}: {self.message}" if self.address else f"{head} {self.message}"
        ]
        if self.place is not None:
            lines.append(f"  --> {self.place.file}:{self.place.line}:{self.place.column}")
            if self.source_line:
                number = f"{self.place.line:>5}"
                pad = " " * (self.place.column - 1)
                carets = "^" * max(1, self.place.length)
                lines += [f"{number} | {self.source_line}", f"{' ' * 5} | {pad}{carets}"]
        if self.hint:
            lines.append(f"hint: {self.hint}")
        return "\n".join(lines)


class ProblemsError(Exception):
    """Raised where work cannot go on because of one or more problems."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n\n".join(problem.render() for problem in problems))
        self.problems = problems
