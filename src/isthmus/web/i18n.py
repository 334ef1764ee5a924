"""What the screens say, in English and German side by side, so that neither can be forgotten."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, get_args

from starlette.requests import HTTPConnection

from isthmus.base.german import Language, said

LANGUAGES: tuple[Language, ...] = get_args(Language)


class Text(NamedTuple):
    """One message; `{name}` is filled when it is shown."""

    en: str
    de: str


Texts = Mapping[str, Text]


def merged(*tables: Texts) -> dict[str, Text]:
    """One table of all; a key said twice is a mistake of ours."""
    texts: dict[str, Text] = {}
    for table in tables:
        twice = texts.keys() & table.keys()
        if twice:
            raise ValueError(f"message `{min(twice)}` is defined twice")
        texts.update(table)
    return texts


@dataclass(frozen=True)
class Translator:
    """Says messages in one language; templates call it `t`."""

    texts: Texts
    language: Language

    def __call__(self, key: str, **values: Any) -> str:
        """`key`, or `key.one` where that exists and `n` is 1."""
        chosen = f"{key}.one" if values.get("n") == 1 and f"{key}.one" in self.texts else key
        text: str = getattr(self.texts[chosen], self.language)
        return text.format_map(values) if values else text

    def say(self, sentence: str) -> str:
        """What Isthmus said in English somewhere below; words of devices stay as they are."""
        return said(sentence, self.language)

    def label(self, labels: Mapping[str, str], otherwise: str) -> str:
        """A label of the model in this language, else in any, else the bare name."""
        return labels.get(self.language) or next(iter(labels.values()), otherwise)


def as_language(text: str | None) -> Language | None:
    """`text` if it is a language we speak."""
    return next((language for language in LANGUAGES if language == text), None)


def language_of(request: HTTPConnection) -> Language:
    """In which language a program wants sentences; English where it does not say.

    `language` in the address or the body says it, else `Accept-Language`.
    """
    asked = request.query_params.get("language") or request.scope.get("language")
    accepted = request.headers.get("accept-language", "")
    return as_language(asked) or preferred(accepted) or "en"


def preferred(accepted: str) -> Language | None:
    """Of what `Accept-Language` says, the language we speak that is liked best."""
    best: Language | None = None
    liked = 0.0
    for part in accepted.split(","):
        tag, _, weight = part.partition(";")
        language = as_language(tag.strip().partition("-")[0].lower())
        weight = weight.strip().removeprefix("q=") or "1"
        if language and weight.replace(".", "", 1).isdecimal() and float(weight) > liked:
            best, liked = language, float(weight)
    return best
