"""What the form of a source shows: its keys, what stands there, and what is wrong with it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from isthmus.base.problem import Problem
from isthmus.model.rules.connections import ENDPOINT
from isthmus.web.i18n import Translator
from isthmus.web.pages.connect_form import FormField, every
from isthmus.web.pages.connect_values import Unread, options, values_of, without_secrets
from isthmus.web.workbench import key_of

_FIRST: Final = ("security", "port", "user", "password")
"""Asked at once though they need not be given."""


@dataclass(frozen=True)
class FormView:
    """One form with its texts."""

    fields: Sequence[FormField]
    values: Mapping[str, str] = field(default_factory=dict)
    said: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Key of the source → what is wrong there; of the whole source: empty key."""

    @property
    def first(self) -> list[FormField]:
        """What it reaches, then what else nobody can leave out."""
        first = [one for one in self.fields if _is_first(one)]
        return sorted(first, key=lambda one: one.name not in {*ENDPOINT, *_FIRST})

    @property
    def rest(self) -> list[FormField]:
        """What is one text each, then what needs room."""
        rest = [one for one in self.fields if not _is_first(one)]
        return sorted(rest, key=lambda one: _WIDE.get(one.widget, 0))

    @property
    def open(self) -> bool:
        """Whether something is wrong where one would not see it."""
        return any(self.wrong(one) for one in every(self.rest))

    @property
    def elsewhere(self) -> list[str]:
        """What is wrong and belongs to no key of the form."""
        known = {one.key for one in every(self.fields)}
        return [text for key, texts in self.said.items() if key not in known for text in texts]

    def value(self, one: FormField) -> str:
        return self.values.get(one.input, "")

    def options(self, one: FormField) -> list[str]:
        """A reference, or a word that is none of them, is one more."""
        known, value = options(one), self.value(one)
        return known if value in {"", *known} else [value, *known]

    def rows(self, one: FormField) -> int:
        return min(12, max(2, self.value(one).count("\n") + 2))

    def wrong(self, one: FormField) -> Sequence[str]:
        return self.said.get(one.key, ())


_WIDE: Final[Mapping[str, int]] = {
    "flag": 1, "lines": 2, "pairs": 2, "long": 2, "yaml": 2, "group": 3, "one_of": 3,
}  # fmt: skip


def _is_first(one: FormField) -> bool:
    return one.required or one.name in _FIRST


def form_of(fields: Sequence[FormField], entry: Mapping[str, Any]) -> FormView:
    """What an entry says."""
    return FormView(fields, values_of(fields, entry))


def form_again(
    fields: Sequence[FormField],
    given: Mapping[str, str],
    t: Translator,
    *,
    problems: Sequence[Problem] = (),
    unread: Mapping[str, Unread] | None = None,
) -> FormView:
    """What a person wrote, which could not be taken, with the reasons at its keys."""
    said: dict[str, list[str]] = {}
    for key, one in (unread or {}).items():
        said.setdefault(key, []).append(t(one.message, part=one.part))
    for problem in problems:
        text = f"{problem.message}. {problem.hint}" if problem.hint else problem.message
        said.setdefault(_nearest(fields, key_of(problem)), []).append(text)
    sent = without_secrets(fields, given)
    unticked = {one.input: "false" for one in every(fields) if one.widget == "flag"}
    return FormView(fields, unticked | sent, said)


def _nearest(fields: Sequence[FormField], key: str) -> str:
    """The field a key belongs to: `endpoints.2` is written at `endpoints`."""
    known = {one.key for one in every(fields)}
    while key and key not in known:
        key = key.rpartition(".")[0]
    return key
