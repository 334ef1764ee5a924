"""Names that a target cannot have are refused, or changed in a way that is said and mapped."""

from typing import Any

import pytest
import yaml
from tests.field.plc.blocks import made, plant_of, texts

from isthmus.base.problem import Problem, ProblemsError
from isthmus.field.plc.registry import TARGETS
from isthmus.model.plant import Plant


def of(*fields: str, block: str = "probe") -> Plant:
    return plant_of(
        {"block": block, "version": 1, "fields": {name: {"type": "boolean"} for name in fields}}
    )


def refusals(target: str, plant: Plant, *blocks: str, **how: Any) -> list[Problem]:
    with pytest.raises(ProblemsError) as refused:
        made(target, *blocks, plant=plant, **how)
    return [problem for problem in refused.value.problems if problem.severity == "error"]


def test_a_reserved_word_is_called_otherwise_and_read_back_by_that_name() -> None:
    generated = made("codesys", plant=of("limit", "speed"))
    (said,) = [one for one in generated.warnings if one.code == "P101"]
    assert said.address == "blocks.probe.limit"
    assert "`limit_value`" in said.message
    written = texts(generated)
    assert "limit_value : BOOL;" in written["isthmus.st"]
    mapping = next(yaml.safe_load_all(written["mapping.yaml"]))
    assert mapping["map"]["probe.limit"]["tag"] == "{symbol}.probe.limit_value"


def test_two_fields_never_get_one_name() -> None:
    (problem,) = refusals("codesys", of("limit", "limit_value"))
    assert problem.code == "P005"
    assert "`limit` and `limit_value` would both be called `limit_value`" in problem.message


@pytest.mark.parametrize(
    ("target", "field", "said"),
    [
        ("codesys", "a__b", "no two `_` in a row"),
        ("codesys", "a_", "none at the end"),
        ("rockwell", "a__b", "no two `_` in a row"),
        ("rockwell", "a" * 41, "has 41 characters; Logix takes 40"),
        ("plcopen", "a_", "none at the end"),
    ],
)
def test_a_name_the_target_cannot_have_is_refused(target: str, field: str, said: str) -> None:
    (problem,) = refusals(target, of(field))
    assert (problem.code, problem.address) == ("P004", f"blocks.probe.{field}")
    assert said in problem.message
    assert problem.hint == f"give another: `--rename probe.{field}=…`"


@pytest.mark.parametrize("target", ["siemens", "opcua-nodeset"])
def test_targets_that_quote_names_take_every_field(target: str) -> None:
    plant = of("limit", "a__b", "end_", "struct", "a" * 64)
    assert [one for one in made(target, plant=plant).warnings if one.code == "P101"] == []


def test_a_person_may_choose_another_name() -> None:
    chosen = {"probe.a__b": "Ab"}
    written = texts(made("rockwell", plant=of("a__b"), rename=chosen))
    assert '<Member Name="Ab" DataType="BIT"' in written["UDT_isthmus_machine.L5X"]
    assert yaml.safe_load(written["mapping.yaml"])["map"]["probe.a__b"] == {"tag": "{tag}.probe.Ab"}


def test_umlauts_are_for_targets_that_have_them() -> None:
    chosen = {"probe.speed": "Größe 1"}
    plant = of("speed")
    written = texts(made("siemens", plant=plant, rename=chosen))
    assert '"Größe 1" : Bool;' in written["UDT_probe.udt"]
    for target in ("codesys", "rockwell", "plcopen", "aas"):
        (problem,) = refusals(target, plant, rename=chosen)
        assert problem.code == "P004"
        assert "umlauts are not possible" in problem.message


@pytest.mark.parametrize("name", ['a"b', "a{b}", "a.b", "a\nb", "", "//"])
@pytest.mark.parametrize("target", list(TARGETS))
def test_no_name_can_break_out_of_its_file(target: str, name: str) -> None:
    (problem,) = refusals(target, of("speed"), rename={"probe.speed": name})
    assert problem.code == "P004"
    (problem,) = refusals(target, of("speed"), instance=name)
    assert problem.code == "P004"


def test_renaming_of_nothing_is_said() -> None:
    (problem,) = refusals("codesys", of("speed"), rename={"probe.sped": "v"})
    assert problem.code == "P008"
    assert problem.hint == "did you mean `probe.speed`?"


def test_a_chosen_name_that_is_reserved_is_refused() -> None:
    (problem,) = refusals("rockwell", of("speed"), rename={"probe.speed": "DINT"})
    assert "is a word of Logix itself" in problem.message


def test_all_that_is_wrong_is_said_at_once() -> None:
    found = refusals("rockwell", of("a__b", "c_"), "probe", "prob", rename={"x.y": "z"})
    assert sorted(problem.code for problem in found) == ["P004", "P004", "P006", "P008"]


def test_only_siemens_has_optimised_access() -> None:
    (problem,) = refusals("rockwell", of("speed"), access="optimised")
    assert problem.code == "P009"


def test_a_block_named_like_a_keyword_becomes_another_member() -> None:
    plant = of("speed", block="step")
    written = texts(made("codesys", "step", plant=plant))
    assert "step_value : ST_step;" in written["isthmus.st"]
    assert "{symbol}.step_value.speed" in written["mapping.yaml"]
