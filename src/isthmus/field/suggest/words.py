"""Names of tags to concepts: `tZyklIst`, `GUT_ZAEHLER`, `Massetemperatur`, `CycleTimeAct`."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from importlib.resources import files
from types import MappingProxyType
from typing import Final

import yaml
from rapidfuzz import fuzz, process

_FOLDED: Final = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "é": "e", "µ": "u"})
_DOTTED: Final = re.compile(r"\b(n)?\.?\s?(i)\.\s?(o)\b\.?", re.IGNORECASE)
"""`i.O.` and `n.i.O.`: in order, not in order."""
_PHASE: Final = re.compile(r"(?<![A-Z])L([123])(?![0-9A-Za-z])")
"""L1, L2, L3 of three-phase current."""
_RATE: Final = re.compile(
    r"\b(?:per|pro|je)[ _]?(?:min(?:ute)?|hour|stunde)\b|(?<=[a-z])Per(?:Min(?:ute)?|Hour)\b"
)
"""Parts per minute: a rate, not a number of parts."""
_UNIT_AT_END: Final = re.compile(r"(?<=[a-z])(kWh|MWh|kW|kVA)(?=[A-Z\d_\W]|$)")
"""`ShiftkWh`, where the unit begins without a capital."""
_CHUNK: Final = re.compile(r"[A-Za-z]+|\d+")
_HUMP: Final = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+")
_TYPE_PREFIX: Final = re.compile(r"(?:[abdefilnrstuwx]|by|di|dw|fb|lr|ui|us|st|gvl)(?=[A-Z])")
"""Hungarian notation, as TwinCAT programs have it: `nPartsOk`, `fCycleTime`, `bDoorOpen`."""
_UNITS: Final = frozenset({"kWh", "MWh", "Wh", "kW", "MW", "kVA", "kVAr", "kVArh", "rpm", "RPM"})
_JOINTS: Final = ("", "s", "n", "en", "es", "e", "er")
"""What German puts between the parts of a compound: Auftrag-s-nummer."""

CERTAIN: Final = 1.0
GUESSED: Final = 0.85
_NEAR: Final = 88.0
_SHORTEST_PART: Final = 3
_SHORTEST_GUESS: Final = 4


@dataclass(frozen=True)
class Token:
    """One word of a name, with what it can mean."""

    text: str
    """As written, in lower case and without umlauts."""
    concepts: tuple[str, ...]
    """Empty: no idea. A number is a concept of its own, `#3`."""
    certainty: float = CERTAIN


@dataclass(frozen=True)
class Thesaurus:
    """What words mean; and which concepts only modify another (set-point, average, reset)."""

    words: Mapping[str, tuple[str, ...]]
    """A word → all it can mean."""
    compounds: Mapping[str, tuple[str, ...]]
    """A word that says several things at once → each of them."""
    modifiers: frozenset[str]

    def __contains__(self, word: str) -> bool:
        return word in self.words or word in self.compounds

    def tokens(self, word: str, certainty: float = CERTAIN) -> tuple[Token, ...]:
        """What a known word says."""
        if word in self.compounds:
            return tuple(Token(word, (one,), certainty) for one in self.compounds[word])
        return (Token(word, self.words[word], certainty),)


@cache
def thesaurus() -> Thesaurus:
    text = files("isthmus.field.suggest").joinpath("thesaurus.yaml").read_text(encoding="utf-8")
    groups: dict[str, dict[str, str]] = yaml.safe_load(text)
    compounds = groups.pop("two")
    words: dict[str, list[str]] = {}
    for group in groups.values():
        for concept, synonyms in group.items():
            for word in {concept, *synonyms.split()}:
                words.setdefault(word, []).append(concept)
    return Thesaurus(
        MappingProxyType({word: tuple(concepts) for word, concepts in words.items()}),
        MappingProxyType({word: tuple(concepts.split()) for word, concepts in compounds.items()}),
        frozenset(groups["modifiers"]),
    )


def is_number(concept: str) -> bool:
    return concept.startswith("#")


@lru_cache(maxsize=65536)
def tokens(name: str) -> tuple[Token, ...]:
    """Every word of a name in its order, compounds taken apart."""
    plain = _PHASE.sub(r" phase \1 ", name.translate(_FOLDED))
    plain = _UNIT_AT_END.sub(r" \1 ", _RATE.sub(" rate ", plain))
    dotless = _DOTTED.sub(lambda found: " nio " if found[1] else " io ", plain)
    return tuple(
        token
        for chunk in _CHUNK.findall(dotless)
        for word in _words(chunk)
        for token in _understood(word)
    )


def _words(chunk: str) -> Iterator[str]:
    """Humps to words; all capitals is one word; the prefix that names the type is left out."""
    if chunk.isdigit() or chunk in _UNITS:
        yield chunk
        return
    prefix = _TYPE_PREFIX.match(chunk)
    if prefix is not None:
        if prefix[0] == "t":
            yield "time"
        chunk = chunk[prefix.end() :]
    yield from _HUMP.findall(chunk)


@lru_cache(maxsize=65536)
def _understood(word: str) -> tuple[Token, ...]:
    if word.isdigit():
        return (Token(word, (f"#{int(word)}",)),)
    word, known = word.lower(), thesaurus()
    if word in known:
        return known.tokens(word)
    if parts := _compound(word):
        return tuple(token for part in parts for token in known.tokens(part))
    if guessed := _guess(word):
        return tuple(replace(one, text=word) for one in known.tokens(guessed, GUESSED))
    return _half_known(word) or (Token(word, ()),)


def _compound(word: str) -> tuple[str, ...]:
    """The fewest known words that make up this one: `zyklus|zeit`, `auftrag|s|menge`."""
    known = thesaurus()
    best: dict[int, tuple[str, ...]] = {0: ()}
    for end in range(_SHORTEST_PART, len(word) + 1):
        for start in range(end - _SHORTEST_PART + 1):
            if start not in best:
                continue
            for joint in _JOINTS if start else ("",):
                if not word.startswith(joint, start):
                    continue
                part = word[start + len(joint) : end]
                longer = (*best[start], part)
                if len(part) >= _SHORTEST_PART and part in known and _better(longer, best.get(end)):
                    best[end] = longer
    return best.get(len(word), ())


def _better(new: tuple[str, ...], old: tuple[str, ...] | None) -> bool:
    return old is None or len(new) < len(old)


def _guess(word: str) -> str:
    """A misspelt or cut-off word: the one known word it can be, else nothing."""
    if len(word) < _SHORTEST_GUESS:
        return ""
    vocabulary = _long_words()
    begun = [each for each in vocabulary if each.startswith(word)]
    if begun and len({thesaurus().tokens(each)[0].concepts for each in begun}) == 1:
        return begun[0]
    near = process.extractOne(word, vocabulary, scorer=fuzz.ratio, score_cutoff=_NEAR)
    return str(near[0]) if near is not None else ""


@cache
def _long_words() -> tuple[str, ...]:
    known = thesaurus()
    every = (*known.words, *known.compounds)
    return tuple(dict.fromkeys(word for word in every if len(word) > _SHORTEST_GUESS))


def _half_known(word: str) -> tuple[Token, ...]:
    """A known word with something before or behind it: `ppartcount`, `kettendrehzahl`."""
    known = thesaurus()
    for length in range(len(word) - 1, _SHORTEST_GUESS - 1, -1):
        for part, rest in ((word[-length:], word[:-length]), (word[:length], word[length:])):
            parts = (part,) if part in known else _compound(part)
            if parts:
                found = tuple(one for each in parts for one in known.tokens(each, GUESSED))
                return found if len(rest) == 1 else (*found, Token(rest, ()))
    return ()
