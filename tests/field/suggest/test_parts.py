"""Behaviour, units, standards and the assignment, each by itself."""

from itertools import permutations
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.field.connector import Node
from isthmus.field.suggest import suggest
from isthmus.field.suggest.assign import assigned
from isthmus.field.suggest.behaviour import observed
from isthmus.field.suggest.companion import defined, infrastructure
from isthmus.field.suggest.unit_codes import UNECE, compatible, ucum
from isthmus.model.spec.block import Block

from .spaces import blocks

PACKML = "http://opcfoundation.org/UA/PackML/"
MACHINERY = "http://opcfoundation.org/UA/Machinery/"


def node(name: str, type_: str = "Float", unit: str = "", **more: str) -> Node:
    return Node(tag=f"ns=2;s={name}", name=name, path=f"/M/{name}", type=type_, unit=unit, **more)


@pytest.mark.parametrize(
    ("values", "shape"),
    [
        ([], "nothing"),
        ([4, 4, 4], "constant"),
        ([0, 1, 1, 0, 1, 0], "two_valued"),
        ([65_533, 65_534, 0, 1, 2, 3], "counter_with_resets"),
        ([1, 2, 2, 3], "counter"),
        ([3, 3, 5, 3, 1, 3], "few_integers"),
        (["RUN", "WAIT", "RUN"], "few_words"),
        ([21.5, 21.7, 21.4, 21.6, 21.9], "numbers"),
    ],
)
def test_what_values_look_like(values, shape):
    assert observed(values).shape == shape


def test_units_of_every_protocol_are_ucum():
    assert ucum("°C") == "Cel"
    assert ucum("", "CEL") == "Cel"
    assert ucum("REVOLUTION/MINUTE") == "/min"
    assert ucum("furlong") is None
    assert [code for code in UNECE if ucum("", code) is None] == []
    assert compatible("[degF]", "Cel")
    assert not compatible("bar", "Cel")


def test_every_unece_code_is_a_unit_we_can_convert():
    assert all(compatible(code, code) for code in UNECE.values())


def test_companion_specifications_are_recognised_by_namespace_and_type():
    speed = node("CurMachSpeed", defined_by=PACKML)
    state = Node("ns=5;i=9", "CurrentState", "/M/MachineryItemState/CurrentState", "LocalizedText")
    parent = Node(
        "ns=5;i=8", "MachineryItemState", "/M/MachineryItemState", has_children=True,
        type_definition=f"nsu={MACHINERY};i=1002",
    )  # fmt: skip
    assert defined(speed, None).quantities == {"machine_speed"}
    assert defined(state, parent).standard == "OPC 40001-1 (Machinery)"
    assert defined(state, None) is None
    assert defined(node("CurMachSpeed2", defined_by=PACKML), None) is None


def test_what_belongs_to_the_gateway_is_not_the_machine():
    assert infrastructure(Node("t", "Rebirth", "/Node Control/Rebirth"))
    assert not infrastructure(Node("t", "State", "/Press/State"))


def test_a_standard_beats_a_name_that_fits_as_well():
    nodes = [node("MachineSpeedActual"), node("CurMachSpeed", defined_by=PACKML)]
    speed = suggest(nodes, [blocks()["packaging"]])[0]
    assert speed.best.name == "CurMachSpeed"
    assert speed.best.why("en").startswith("OPC 30050 (PackML) defines it as exactly this")
    assert speed.best.why("de").startswith("OPC 30050 (PackML) legt es genau so fest")


def test_reasons_are_told_in_both_languages():
    nodes = [node("GUT_ZAEHLER", "DInt"), node("GUT_ZAEHLER_SOLL", "DInt")]
    samples = {"ns=2;s=GUT_ZAEHLER": [65_534, 65_535, 0, 1, 2, 3]}
    good = next(one for one in suggest(nodes, [blocks()["part_count"]], samples=samples)
                if one.field == "good")  # fmt: skip
    assert good.best.why("en") == "`GUT_ZAEHLER` means good parts; monotonic counter with resets"
    assert "bedeutet Gutteile" in good.best.why("de")
    assert "monotoner Zähler mit Rücksetzungen" in good.best.why("de")


@pytest.mark.parametrize(
    ("heard", "held_against"),
    [([12, 12, 13], False), ([12, 12, 12], False), ([12, 9, 12], True), ([13, 12, 12], True)],
)
def test_a_counter_that_rose_once_while_somebody_listened_is_no_worse_than_one_that_stood(
    heard: list[float], *, held_against: bool
):
    scrap = node("PartsNok", "UDInt")
    (unheard, seen) = (
        next(one for one in suggest([scrap], [blocks()["part_count"]], samples=samples)
             if one.field == "scrap").best.score
        for samples in ({}, {scrap.tag: heard})
    )  # fmt: skip
    assert (seen < unheard) is held_against


def test_a_unit_of_another_dimension_rules_a_tag_out():
    nodes = [node("CycleTime", unit="mm"), node("Takt", unit="ms")]
    (found,) = suggest(nodes, [blocks()["cycle"]])
    assert [one.name for one in found.proposals] == ["Takt"] or found.best.name == "Takt"
    assert found.best.unit == "ms"


def test_a_field_nobody_has_words_for_is_matched_by_its_own():
    block = Block.model_validate({
        "block": "glue", "version": 1,
        "fields": {"bead_width": {"type": "number", "unit": "mm"}},
    })  # fmt: skip
    (found,) = suggest([node("Bead_Width_Act", unit="mm"), node("Speed")], [block])
    assert found.best.name == "Bead_Width_Act"


def test_tags_that_are_taken_are_not_proposed():
    nodes = [node("CycleTime", unit="s")]
    (found,) = suggest(nodes, [blocks()["cycle"]], taken={"ns=2;s=CycleTime"})
    assert found.best is None


def test_one_machine_of_several_is_looked_at_alone():
    nodes = [
        Node(f"ns=2;s={machine}.Zykluszeit", "Zykluszeit", f"/Hall/{machine}/Zykluszeit", "Float")
        for machine in ("M1", "M2")
    ]
    (found,) = suggest(nodes, [blocks()["cycle"]], under="/Hall/M2")
    assert [one.tag for one in found.proposals] == ["ns=2;s=M2.Zykluszeit"]


SCORES = st.lists(
    st.dictionaries(st.integers(0, 4), st.integers(1, 100).map(lambda n: n / 100), max_size=5),
    min_size=1,
    max_size=4,
)


@given(SCORES)
@settings(max_examples=200)
def test_no_other_assignment_is_worth_more(scores):
    chosen = assigned(scores)
    used = [column for column in chosen if column is not None]
    assert len(used) == len(set(used))
    worth = sum(
        row[column] for row, column in zip(scores, chosen, strict=True) if column is not None
    )
    best = max(
        sum(row.get(column, 0) for row, column in zip(scores, order, strict=True))
        for order in permutations(range(5 + len(scores)), len(scores))
    )
    assert worth == pytest.approx(best)


def test_ten_thousand_nodes_are_no_trouble():
    nodes = [
        Node(f"ns=2;s=M{n}", f"Zone{n}Temp", f"/M/Area{n % 50}/Zone{n}Temp", "Float", "°C")
        for n in range(10_000)
    ]
    nodes.append(node("Zykluszeit", unit="s"))
    found = suggest(nodes, list(blocks().values()))
    assert next(one for one in found if one.key == "cycle.cycle_time").best.name == "Zykluszeit"


def test_units_and_words_of_the_library_lead_to_the_machines_own():
    library = Path(__file__).parents[3] / "src" / "isthmus" / "model" / "library"
    written = yaml.safe_load_all((library / "injection_cycle.yaml").read_text(encoding="utf-8"))
    block = next(Block.model_validate(one) for one in written if "block" in one)
    nodes = [
        node("Werkzeugtemperatur", unit="°C"), node("Nachdruck", unit="bar"),
        node("Staudruck", unit="bar"), node("Dosierzeit", unit="s"), node("Schusszaehler", "DInt"),
        node("Massepolster", unit="mm"), node("Oeldruck", unit="bar"),
    ]  # fmt: skip
    found = {one.field: one.best.name for one in suggest(nodes, [block]) if one.best}
    assert found == {
        "mould_temp": "Werkzeugtemperatur", "hold_pressure_max": "Nachdruck",
        "back_pressure": "Staudruck", "dosing_time": "Dosierzeit", "cycles": "Schusszaehler",
        "cushion_stroke": "Massepolster",
    }  # fmt: skip
