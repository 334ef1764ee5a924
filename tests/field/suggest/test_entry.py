"""An accepted proposal as it is written into a machine type."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from isthmus.field.connector import Node
from isthmus.field.suggest import suggest
from isthmus.field.suggest.entry import counter_bits, entry, standard_codes, with_parameters
from isthmus.field.suggest.proposals import Proposal
from isthmus.model.load import _library
from isthmus.model.spec.block import BlockField, CodeSystem
from isthmus.model.tag_text import filled, parameters

from .spaces import blocks


def proposal(**more: str) -> Proposal:
    return Proposal("ns=2;s=IM07.A", "A", "/A", 0.9, (), **more)


def packml() -> CodeSystem:
    (written,) = [one for one in _library() if one.name == "packml"]
    return CodeSystem.model_validate(written.data)


@pytest.mark.parametrize(
    ("tag", "params", "written"),
    [
        ("ns=2;s=IM07.State", {"root": "IM07"}, "ns=2;s={root}.State"),
        ("ns=2;s=IM070.State", {"root": "IM07"}, "ns=2;s=IM070.State"),
        ("a{b}#$.x", {}, "a{{b}}#$.x"),
        ("hall/IM07/IM07x", {"root": "IM07", "hall": "hall"}, "{hall}/{root}/IM07x"),
        ("root/x", {"a": "root", "b": "x"}, "{a}/{b}"),
    ],
)
def test_parameters_take_the_place_of_their_values(tag, params, written):
    assert with_parameters(tag, params) == written


@given(
    st.text("{}ab./", max_size=12),
    st.dictionaries(st.sampled_from("pq"), st.text("ab", max_size=2)),
)
def test_filled_again_it_is_the_tag_that_was_seen(tag, params):
    written = with_parameters(tag, params)
    assert set(parameters(written)) <= set(params)
    assert filled(written, params) == tag


def test_a_unit_is_written_where_it_differs():
    celsius = BlockField(type="number", unit="Cel")
    assert entry(proposal(unit="[degF]"), celsius)["unit"] == "[degF]"
    assert "unit" not in entry(proposal(unit="Cel"), celsius)
    assert "unit" not in entry(proposal(unit="s"), BlockField(type="number"))


@pytest.mark.parametrize(
    ("type_", "bits"),
    [("UInt16", 16), ("WORD", 16), ("UDINT", 32), ("Int32", None), ("Double", None), ("", None)],
)
def test_an_unsigned_counter_says_where_it_rolls_over(type_, bits):
    assert counter_bits(type_) == bits
    written = entry(proposal(type=type_), BlockField(type="counter", unit="1"))
    assert written["counter"] == ({"bits": bits} if bits else {})


def test_the_numbers_of_packml_are_known():
    node = Node("StateCurrent", "StateCurrent", "/Unit/Status/StateCurrent", "DINT")
    state = next(
        one for one in suggest([node], [blocks()["machine_state"]]) if one.field == "state"
    )
    assert standard_codes(state.best, packml())[6] == "execute"
    assert standard_codes(proposal(), packml()) == {}


def test_what_is_written_reads_back():
    written = entry(proposal(unit="[degF]"), BlockField(type="number", unit="Cel"))
    assert yaml.safe_load(str(written)) == written
