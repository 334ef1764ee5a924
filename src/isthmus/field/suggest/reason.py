"""Why a tag is proposed, in words a person understands, in English and German."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from isthmus.base.german import Language

Kind = Literal[
    "standard", "name", "comment", "folder", "unit", "unit_differs", "unit_other", "type_differs",
    "counter", "counter_with_resets", "two_valued", "constant", "few_integers", "few_words",
    "in_range", "out_of_range", "together", "modifier", "one_of_many",
]  # fmt: skip

_TEXTS: Final[Mapping[Kind, tuple[str, str]]] = MappingProxyType({
    "standard": ("{0} defines it as exactly this", "{0} legt es genau so fest"),
    "name": ("`{0}` means {1}", "`{0}` bedeutet {2}"),
    "comment": ("its comment says {1}: “{0}”", "der Kommentar sagt {2}: „{0}“"),
    "folder": ("it stands in `{0}`", "es steht in `{0}`"),
    "unit": ("same unit, {0}", "gleiche Einheit, {0}"),
    "unit_differs": ("{0} can be converted to {1}", "{0} ist in {1} umrechenbar"),
    "unit_other": ("its unit {0} does not fit {1}", "die Einheit {0} passt nicht zu {1}"),
    "type_differs": ("its type {0} is unusual here", "der Typ {0} ist hier ungewöhnlich"),
    "counter": ("it only counts up", "es zählt nur aufwärts"),
    "counter_with_resets": (
        "monotonic counter with resets",
        "monotoner Zähler mit Rücksetzungen",
    ),
    "two_valued": ("it has two values", "es hat zwei Werte"),
    "constant": ("it did not change while we looked", "es änderte sich nicht, während wir zusahen"),
    "few_integers": ("few whole numbers: {0}", "wenige ganze Zahlen: {0}"),
    "few_words": ("few words: {0}", "wenige Wörter: {0}"),
    "in_range": ("values from {0} to {1} are plausible", "Werte von {0} bis {1} sind plausibel"),
    "out_of_range": (
        "values from {0} to {1} are outside the limits",
        "Werte von {0} bis {1} liegen außerhalb der Grenzen",
    ),
    "together": (
        "other fields of this block are in the same place",
        "andere Felder dieses Blocks liegen am selben Ort",
    ),
    "modifier": ("but `{0}` is something else", "aber `{0}` ist etwas anderes"),
    "one_of_many": ("one of {0} alike", "eines von {0} gleichartigen"),
})  # fmt: skip


@dataclass(frozen=True)
class Reason:
    """One reason for or against a tag."""

    kind: Kind
    words: tuple[str, ...] = ()
    against: bool = False

    def text(self, language: Language = "en") -> str:
        english, german = _TEXTS[self.kind]
        return (german if language == "de" else english).format(*self.words)
