"""One value put into a YAML text: the value is there, everything else is as it was."""

import difflib
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from isthmus.model.write.flow import Raw, flow
from isthmus.model.write.text import NotEditableError, append, merge, put, remove
from isthmus.model.write.written import written_at

TYPE = """\
# Presses.
machine_type: press   # the old ones
blocks: [machine_state, part_count]
params:
  root: {doc: "Ordner, in dem die Maschine steht"}
map:
  # states first
  machine_state.state: {tag: "ns=4;s={root}.State", codes: {0: stopped}}   # 0 and 3
  part_count.good:     {tag: "ns=4;s={root}.Good", counter: {bits: 16}}
  part_count.scrap:
    # in lines of its own
    tag: "ns=4;s={root}.Scrap"
    scale: 10

minor_stop: 60 s
"""


def changed_lines(before: str, after: str) -> list[str]:
    lines = difflib.ndiff(before.splitlines(), after.splitlines())
    return [line for line in lines if line[0] in "+-"]


def test_a_new_entry_comes_last_and_lines_up_with_the_others():
    flat = TYPE.replace("  part_count.scrap:\n    # in lines of its own\n", "  # ").replace(
        '    tag: "ns=4;s={root}.Scrap"\n    scale: 10\n', "\n"
    )
    after = put(flat, 0, ["map", "part_count.rework"], {"tag": "ns=4;s={root}.Rework"})
    assert changed_lines(flat, after) == ['+   part_count.rework:   {tag: "ns=4;s={root}.Rework"}']


def test_a_new_entry_behind_one_that_stands_in_several_lines():
    after = put(TYPE, 0, ["map", "part_count.rework"], {"tag": "x"})
    assert changed_lines(TYPE, after) == ["+   part_count.rework:   {tag: x}"]
    assert after.index("scale: 10") < after.index("part_count.rework") < after.index("minor_stop")


def test_a_replaced_value_keeps_the_comment_behind_it():
    after = put(TYPE, 0, ["map", "machine_state.state"], {"tag": "ns=4;s=A"})
    assert '  machine_state.state: {tag: "ns=4;s=A"}   # 0 and 3' in after


def test_an_entry_in_lines_of_its_own_keeps_them():
    after = put(TYPE, 0, ["map", "part_count.scrap"], {"tag": "ns=4;s=B", "unit": "1"})
    assert changed_lines(TYPE, after) == [
        '-     tag: "ns=4;s={root}.Scrap"',
        "-     scale: 10",
        '+     tag: "ns=4;s=B"',
        '+     unit: "1"',
    ]
    assert "# in lines of its own" in after


def test_what_is_missing_above_is_made():
    after = put("site: x\n", 0, ["sources", "im07"], {"kind": "opcua"})
    assert after == "site: x\nsources:\n  im07: {kind: opcua}\n"


def test_a_key_without_a_value_gets_its_first_entry():
    text = "site: x\nsources:   # none yet\nname: X\n"
    after = put(text, 0, ["sources", "im07"], {"kind": "opcua"})
    assert after == "site: x\nsources:   # none yet\n  im07: {kind: opcua}\nname: X\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a: {}\n", "a: {b: 1}\n"),
        ("a: {x: 1}  # c\n", "a: {x: 1, b: 1}  # c\n"),
        ("a: {x: 1,\n    y: 2}\n", "a: {x: 1,\n    y: 2, b: 1}\n"),
        ("a: {x: 1,}\n", "a: {x: 1, b: 1}\n"),
    ],
)
def test_a_mapping_in_braces_stays_in_braces(before, after):
    assert put(before, 0, ["a", "b"], 1) == after


def test_lists_in_brackets_and_in_lines_grow():
    assert append("a: [x]  # c\n", 0, ["a"], "z") == "a: [x, z]  # c\n"
    assert append("a:\n  - x  # c\nb: 1\n", 0, ["a"], "z") == "a:\n  - x  # c\n  - z\nb: 1\n"


def test_only_the_document_that_is_meant_changes():
    text = "a: 1\n---\na: 2\n---\na: 3\n"
    assert put(text, 1, ["a"], 5) == "a: 1\n---\na: 5\n---\na: 3\n"


def test_an_entry_goes_with_its_lines():
    after = remove(TYPE, 0, ["map", "part_count.good"])
    assert changed_lines(TYPE, after) == [
        '-   part_count.good:     {tag: "ns=4;s={root}.Good", counter: {bits: 16}}'
    ]


def test_what_an_alias_shares_is_left_to_a_person():
    with pytest.raises(NotEditableError, match="alias"):
        put("a: &x {b: 1}\nc: *x\n", 0, ["c", "b"], 2)


def test_a_file_without_a_last_line_end():
    assert put("a:\n  b: 1", 0, ["a", "c"], 2) == "a:\n  b: 1\n  c: 2"


def test_a_secret_is_copied_as_it_is_written():
    assert flow({"password": Raw("!secret sap")}) == "{password: !secret sap}"


@pytest.mark.parametrize("text", ["no", "08:00", "1", "1.5", "", " x", "a: b", "a #b", "true", "~"])
def test_text_that_reads_as_something_else_is_quoted(text):
    assert flow(text).startswith('"')


WORDS = st.text("abcdefgh", min_size=1, max_size=4)
VALUES = st.recursive(
    st.text(max_size=8).filter(lambda text: text.isprintable()),
    lambda inner: st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(WORDS, st.dictionaries(WORDS, VALUES, min_size=1, max_size=3), min_size=1,
                       max_size=3), WORDS, WORDS, VALUES, st.booleans())  # fmt: skip
def test_reading_back_gives_the_old_data_with_the_new_value(data, above, key, value, braces):
    text = yaml.safe_dump(data, default_flow_style=braces, allow_unicode=True, width=10_000)
    after = put(text, 0, [above, key], value)
    expected: dict[str, Any] = {name: dict(one) for name, one in data.items()}
    expected.setdefault(above, {})[key] = value
    assert _texts(yaml.compose(after, Loader=yaml.CBaseLoader)) == expected


def _texts(node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return {key.value: _texts(value) for key, value in node.value}
    return node.value


# A mapping that says something else ------------------------------------------------------------

SOURCES = """\
site: hamburg
sources:
  # The press by the door.
  im07: {kind: opcua, endpoint: "opc.tcp://x",  interval: 100 ms}  # quick
  cell:
    kind: http     # the new box
    url: http://x
    headers: {A: "1", B: !secret box}
    files:
      - a   # first
      - "b c"
    tls:
      ca: x
    query: |
      select
      1
"""


def cell(**changes: Any) -> dict[str, Any]:
    there = written_at({"site.yaml": SOURCES}, "hamburg", ("sources", "cell"))
    merged_in = {**there, **changes}
    return {key: value for key, value in merged_in.items() if value is not None}


def merged(entry: dict[str, Any], name: str = "cell") -> list[str]:
    return changed_lines(SOURCES, merge(SOURCES, 0, ("sources", name), entry))


def test_what_stays_is_not_touched():
    assert merged(cell()) == []


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        ({"url": "http://y"}, ["-     url: http://x", '+     url: "http://y"']),
        ({"kind": "mqtt"},
         ["-     kind: http     # the new box", "+     kind: mqtt     # the new box"]),
        ({"enabled": False}, ["+     enabled: false"]),
        ({"headers": {"B": Raw("!secret box"), "C": "2"}},
         ['-     headers: {A: "1", B: !secret box}', '+     headers: {B: !secret box, C: "2"}']),
        ({"files": [Raw("a"), "z"]}, ['-       - "b c"', "+       - z"]),
        ({"files": []}, ["-       - a   # first", '-       - "b c"', "+       []"]),
        ({"tls": {"ca": Raw("x"), "cert": "c"}}, ["+       cert: c"]),
        ({"tls": {}}, ["-     tls:", "-       ca: x", "+     tls: {}"]),
        ({"query": None}, ["-     query: |", "-       select", "-       1"]),
    ],
)  # fmt: skip
def test_only_what_differs_is_written(changes, lines):
    assert sorted(merged(cell(**changes))) == sorted(lines)


@pytest.mark.parametrize("gone", ["kind", "endpoint", "interval"])
def test_an_entry_leaves_braces_with_its_comma(gone):
    there = written_at({"site.yaml": SOURCES}, "hamburg", ("sources", "im07"))
    left = {key: value for key, value in there.items() if key != gone}
    after = merge(SOURCES, 0, ("sources", "im07"), left)
    assert list(yaml.safe_load(after.replace("!secret", ""))["sources"]["im07"]) == list(left)
    assert "  # quick" in after


def test_the_last_entry_of_braces_leaves_them_empty():
    assert remove("a: {b: 1}  # c\n", 0, ["a", "b"]) == "a: {}  # c\n"
