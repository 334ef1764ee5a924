"""Names of tags as PLC programmers write them, understood."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.field.suggest.quantities import _known
from isthmus.field.suggest.words import thesaurus, tokens


def meant(name: str) -> list[str]:
    return [word.concepts[0] if word.concepts else word.text for word in tokens(name)]


@pytest.mark.parametrize(
    "name",
    ["Zykluszeit", "cycle time", "CycleTime", "cycle_time", "ZYK_ZEIT", "fZyklusZeit", "CYC_TM"],
)
def test_one_quantity_in_many_spellings(name):
    assert meant(name) == ["cycle", "time"]


@pytest.mark.parametrize(
    ("name", "concepts"),
    [
        ("tZykl", ["time", "cycle"]),
        ("GUT_ZAEHLER", ["good", "count"]),
        ("nPartsOk", ["part", "good"]),
        ("Teile n.i.O.", ["part", "scrap"]),
        ("Teile i.O.", ["part", "good"]),
        ("Auftragsnummer", ["order", "number"]),
        ("Störnummer", ["alarm", "number"]),
        ("Stoernummer", ["alarm", "number"]),
        ("Betriebsart", ["machine", "mode"]),
        ("Massetemperatur", ["melt", "temperature"]),
        ("PowerL2_kW", ["power", "phase", "#2", "power"]),
        ("Zone12Temp", ["zone", "#12", "temperature"]),
        ("Temperatr", ["temperature"]),
        ("ppartcount", ["part", "count"]),
    ],
)
def test_compounds_abbreviations_and_misspellings(name, concepts):
    assert meant(name) == concepts


def test_what_nobody_knows_stays_a_word_without_a_meaning():
    (word,) = tokens("xqvz")
    assert (word.text, word.concepts) == ("xqvz", ())


def test_every_word_of_the_thesaurus_can_be_met_in_a_name():
    known = thesaurus()
    concepts = {one for each in known.words.values() for one in each}
    words = {*known.words, *known.compounds} - concepts
    assert [word for word in words if not word.isascii() or not word.isalnum()] == []
    assert {one for each in known.compounds.values() for one in each} <= concepts


def test_every_quantity_is_named_by_concepts_of_the_thesaurus():
    concepts = {one for each in thesaurus().words.values() for one in each}
    unknown = {
        concept
        for quantity in _known()[1]
        for phrase in quantity.phrases
        for concept in phrase.concepts
        if concept not in concepts
    }
    assert unknown == set()


@given(st.text(max_size=60))
def test_any_name_can_be_read(name):
    assert all(word.text for word in tokens(name))
