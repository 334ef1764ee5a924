"""Blocks for these tests: one of every type, and any that hypothesis draws."""

import json
from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from isthmus.base.german import Language
from isthmus.field.plc.generate import Choice, Generated, generate
from isthmus.field.plc.layout import Precision, Wording
from isthmus.field.plc.target import Settings
from isthmus.model.load import read_texts
from isthmus.model.plant import Plant
from isthmus.runtime.open import kinds

COMPANY = {"enterprise": "acme", "language": "de"}

EVERY_TYPE: dict[str, Any] = {
    "block": "probe",
    "version": 3,
    "doc": "Everything a block can hold.",
    "label": {"en": "Probe", "de": "Prüfblock"},
    "description": {"de": "Alles, was ein Block enthält."},
    "fields": {
        "running": {"type": "boolean", "doc": "It runs.", "description": {"de": "Läuft."}},
        "fault": {"type": "boolean"},
        "small": {"type": "integer", "min": -5, "max": 100, "unit": "%"},
        "door": {"type": "boolean"},
        "wide": {"type": "integer"},
        "huge": {"type": "integer", "min": 0, "max": 10**12},
        "melt_temp": {
            "type": "number", "unit": "Cel", "min": 0, "max": 450, "doc": "At the nozzle.",
            "label": {"en": "Melt temperature", "de": "Massetemperatur"},
            "description": {"de": "An der Düse."},
        },
        "speed": {"type": "number", "min": 0},
        "good": {"type": "counter", "unit": "1"},
        "order_no": {"type": "text", "max_length": 13},
        "state": {"type": "enum", "values": "packml"},
        "alarm": {"type": "enum", "values": "alarm-level"},
        "last": {"type": "boolean"},
    },
}  # fmt: skip

WRITTEN: dict[str, Any] = {
    "probe.running": True, "probe.fault": False, "probe.small": -5, "probe.door": True,
    "probe.wide": -(2**31), "probe.huge": 10**12, "probe.melt_temp": 221.5, "probe.speed": 0.125,
    "probe.order_no": "Größe 4711/ä", "probe.state": "execute", "probe.alarm": "error",
    "probe.last": True,
}  # fmt: skip
"""A row of it, as the program of a controller writes it; without the counter."""

LEVELS = {
    "code_system": "alarm-level",
    "values": {
        "none": {"label": {"en": "None", "de": "Keiner"}},
        "warning": {"code": 0},
        "error": {"code": 70_000, "label": {"de": "Störung \n ]]> (* \x07"}},
    },
}


def plant_of(*documents: Mapping[str, Any]) -> Plant:
    """A company that declares these."""
    return plant_of_texts({"model.yaml": yaml_of(COMPANY, *documents)})


def yaml_of(*documents: Mapping[str, Any]) -> str:
    """JSON is YAML 1.2; what PyYAML writes is YAML 1.1, where `0E0` is a text."""
    return "\n---\n".join(json.dumps(one, ensure_ascii=False) for one in documents)


def plant_of_texts(texts: Mapping[str, str]) -> Plant:
    loaded = read_texts(texts, kinds(), {})
    assert loaded.plant is not None, "\n".join(each.render() for each in loaded.problems)
    return loaded.plant


PLANT = plant_of(EVERY_TYPE, LEVELS)


def made(
    target: str,
    *blocks: str,
    plant: Plant = PLANT,
    lang: Language = "en",
    numbers: Precision = "single",
    rename: Mapping[str, str] | None = None,
    **settings: Any,
) -> Generated:
    """What `isthmus plc` would write; the block of every type unless others are named."""
    choice = Choice(
        blocks or ("probe",),
        target,
        Settings(plant.enterprise, lang, **settings),
        Wording(lang, numbers),
        rename or {},
    )
    return generate(plant, choice)


def texts(generated: Generated) -> dict[str, str]:
    return {file.name: file.text for file in generated.files}


NAMES = st.from_regex(r"[a-z][a-z0-9]{0,5}(_[a-z0-9]{1,3})?", fullmatch=True).filter(
    lambda name: name not in {"machine", "time"}
)
WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
INTEGERS = st.sampled_from(
    [{}, {"min": 0, "max": 100}, {"max": 40_000}, {"min": -(2**31)}, {"min": 0, "max": 2**40}]
)


@st.composite
def code_systems(draw: st.DrawFn) -> dict[str, Any]:
    names = draw(st.lists(NAMES, min_size=1, max_size=5, unique=True))
    codes = draw(
        st.lists(st.none() | st.integers(-(2**15), 2**20), min_size=len(names), max_size=len(names))
    )
    given = [code for code in codes if code is not None]
    if len(set(given)) < len(given):
        codes = [None] * len(names)
    return {
        "code_system": "drawn",
        "values": {
            name: {} if code is None else {"code": code}
            for name, code in zip(names, codes, strict=True)
        },
    }


FIELDS = st.one_of(
    st.just({"type": "boolean"}),
    st.just({"type": "number"}),
    st.just({"type": "counter"}),
    st.just({"type": "enum", "values": "drawn"}),
    INTEGERS.map(lambda limits: {"type": "integer", **limits}),
    st.integers(1, 60).map(lambda length: {"type": "text", "max_length": length}),
)


RUNS = st.tuples(FIELDS, st.just(1)) | st.tuples(
    st.just({"type": "boolean"}),
    st.integers(1, 12),  # bits fill more than a byte
)


@st.composite
def blocks(draw: st.DrawFn, name: str = "drawn") -> dict[str, Any]:
    """Any block: fields of any type in any order."""
    runs = draw(st.lists(RUNS, min_size=1, max_size=10))
    fields = [field for field, times in runs for _ in range(times)]
    names = draw(st.lists(NAMES, min_size=len(fields), max_size=len(fields), unique=True))
    return {
        "block": name,
        "version": draw(st.integers(1, 20)),
        "doc": draw(st.just("") | WORDS.filter(str.isprintable)),
        "fields": dict(zip(names, fields, strict=True)),
    }
