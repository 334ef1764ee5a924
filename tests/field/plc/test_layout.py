"""A block as a controller holds it: sizes, comments, codes, and what is refused."""

from typing import Any

import pytest
from tests.field.plc.blocks import EVERY_TYPE, LEVELS, PLANT, made, plant_of

from isthmus.base.german import Language
from isthmus.base.problem import ProblemsError
from isthmus.field.plc.layout import Layout, Member, Wording, layout
from isthmus.model.plant import Plant


def laid_out(plant: Plant, lang: Language = "en", block: str = "probe") -> Layout:
    found, _ = layout(plant.blocks[block], plant.code_systems, Wording(lang))
    return found


def members(plant: Plant, lang: Language = "en") -> dict[str, Member]:
    return {member.field: member for member in laid_out(plant, lang).members}


def of(field: dict[str, Any], *documents: dict[str, Any]) -> Plant:
    return plant_of({"block": "probe", "version": 1, "fields": {"x": field}}, *documents)


@pytest.mark.parametrize(
    ("field", "kind"),
    [
        ({"type": "boolean"}, "bit"),
        ({"type": "number"}, "real32"),
        ({"type": "counter"}, "uint32"),
        ({"type": "text"}, "text"),
        ({"type": "integer"}, "int32"),
        ({"type": "integer", "min": -32768, "max": 32767}, "int16"),
        ({"type": "integer", "min": 0}, "int32"),
        ({"type": "integer", "min": 0, "max": 32768}, "int32"),
        ({"type": "integer", "max": 2**31}, "int64"),
        ({"type": "enum", "values": "packml"}, "int16"),
    ],
)
def test_limits_decide_how_wide_a_member_is(field: dict[str, Any], kind: str) -> None:
    assert members(of(field))["x"].type == kind


def test_double_precision_is_asked_for() -> None:
    plant = of({"type": "number"})
    found, _ = layout(plant.blocks["probe"], plant.code_systems, Wording(precision="double"))
    assert found.members[0].type == "real64"


def test_comments_are_in_the_language_that_was_asked_for() -> None:
    english, german = members(PLANT), members(PLANT, "de")
    assert english["melt_temp"].comment == "At the nozzle. [°C] 0 … 450"
    assert german["melt_temp"].comment == "An der Düse. [°C] 0 … 450"
    assert english["order_no"].comment == "(up to 13 characters)"
    assert german["order_no"].comment == "(bis 13 Zeichen)"
    assert german["speed"].comment == "≥ 0"
    assert german["state"].codes.startswith("1 = Störung wird geräumt, 2 = Gestoppt, ")
    assert "zählt aufwärts" in german["good"].comment


def test_a_missing_description_is_said_and_doc_is_taken() -> None:
    plant = plant_of({**EVERY_TYPE, "description": {}}, LEVELS)
    found, problems = layout(plant.blocks["probe"], plant.code_systems, Wording("de"))
    assert found.comment == "Everything a block can hold."
    (said,) = [problem for problem in problems if problem.code == "P103"]
    assert said.severity == "warning"
    assert "for `probe`, `fault`, `small`" in said.message
    assert "melt_temp" not in said.message


def test_a_comment_never_ends_its_line() -> None:
    plant = of({"type": "boolean", "doc": "a\n  b\x07\tc\u2028d"})
    assert members(plant)["x"].comment == "a b c d"


def test_values_without_a_code_are_numbered_on_and_it_is_said() -> None:
    alarm = members(PLANT)["alarm"]
    assert [(v.name, v.number) for v in alarm.values] == [
        ("none", 70_001), ("warning", 0), ("error", 70_000),
    ]  # fmt: skip
    (said,) = [one for one in made("siemens").warnings if one.code == "P102"]
    assert (said.address, said.message) == (
        "code_systems.alarm-level", "values without a code were numbered: none = 70001",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("field", "documents", "code", "said"),
    [
        ({"type": "integer", "max": 1e30}, [], "P002", "beyond the 64 bits"),
        (
            {"type": "enum", "values": "far"},
            [{"code_system": "far", "values": {"a": {"code": 1}, "b": {"code": 2**31}}}],
            "P003",
            "the code 2147483648 of `b` is beyond 32 bits",
        ),
    ],
)
def test_what_no_controller_can_hold_is_refused_with_the_field(
    field: dict[str, Any], documents: list[dict[str, Any]], code: str, said: str
) -> None:
    with pytest.raises(ProblemsError) as refused:
        laid_out(of(field, *documents))
    (problem,) = refused.value.problems
    assert (problem.code, problem.address) == (code, "blocks.probe.x")
    assert said in problem.message
    assert problem.hint


@pytest.mark.parametrize(
    ("target", "longest"),
    [("siemens", 254), ("codesys", 255), ("plcopen", 255), ("rockwell", 65_535)],
)
def test_a_text_that_is_too_long_for_the_target_is_refused(target: str, longest: int) -> None:
    fits = of({"type": "text", "max_length": longest})
    assert made(target, plant=fits).files
    with pytest.raises(ProblemsError) as refused:
        made(target, plant=of({"type": "text", "max_length": longest + 1}))
    (problem,) = [one for one in refused.value.problems if one.severity == "error"]
    assert (problem.code, problem.address) == ("P001", "blocks.probe.x")
    assert str(longest) in problem.hint
