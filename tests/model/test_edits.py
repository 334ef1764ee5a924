"""Edits of a whole model folder: checked before anything is written."""

import re
import shutil
from pathlib import Path

import pytest

from isthmus.base.problem import ProblemsError
from isthmus.model.load import load, model_files
from isthmus.model.write.bulk import Into, RowsError, machines_of, read_table
from isthmus.model.write.clone import MustDifferError, cloned
from isthmus.model.write.edits import (
    AddMachine,
    AddSource,
    AddType,
    ChangedMeanwhileError,
    ChangeSource,
    EditError,
    MapField,
    ReadFrom,
    RemoveMachine,
    RemoveSource,
    edited,
    restored,
)
from isthmus.model.write.written import written_at
from isthmus.runtime.open import kinds

ACME = Path(__file__).parents[2] / "examples" / "acme"
LINE = Into("hamburg", "moulding", "line-1", "km_cx160")
INJECTION = MapField("km_cx160", "part_count.rework", {"tag": "ns=2;s={root}.Rework"})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(ACME, tmp_path / "acme"))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_an_accepted_field_is_one_line_of_the_diff(folder):
    change = edited(folder, [INJECTION], kinds())
    added = [line for line in change.diff().splitlines() if re.match(r"[+-](?![+-])", line)]
    assert added == ['+  part_count.rework:          {tag: "ns=2;s={root}.Rework"}']
    assert change.diff().startswith("--- a/types/km_cx160.yaml\n+++ b/types/km_cx160.yaml\n")


def test_nothing_is_written_before_it_is_told_to(folder):
    before = contents(folder)
    change = edited(folder, [INJECTION], kinds())
    assert contents(folder) == before
    change.write()
    assert load(folder, kinds()).machine_types["km_cx160"].map["part_count.rework"].tag
    assert sorted(contents(folder)) == sorted(before)


def test_a_block_the_type_does_not_list_is_listed(folder):
    edit = MapField("old_press", "job.order", {"tag": "holding:4:uint16"})
    change = edited(folder, [edit], kinds())
    assert "+blocks: [machine_state, part_count, injection_cycle, job]" in change.diff()


@pytest.mark.parametrize(
    "edit",
    [
        MapField("km_cx160", "part_count.nothing", {"tag": "ns=2;s={root}.A"}),
        MapField("km_cx160", "part_count.rework", {"tag": "no node id"}),
        MapField("km_cx160", "injection_cycle.cycle_time", {"tag": "ns=2;s=A", "unit": "bar"}),
        MapField("km_cx160", "part_count.rework", {"tag": "ns=2;s={nowhere}.A"}),
    ],
)
def test_what_check_would_refuse_is_not_done(folder, edit):
    before = contents(folder)
    with pytest.raises(ProblemsError):
        edited(folder, [edit], kinds())
    assert contents(folder) == before


def test_a_model_with_errors_is_mended_first(folder):
    (folder / "types" / "km_cx160.yaml").write_text("machine_type: km_cx160\n")
    with pytest.raises(EditError, match="mend them first"):
        edited(folder, [INJECTION], kinds())


def test_a_file_that_changed_since_the_preview_is_not_overwritten(folder):
    change = edited(folder, [INJECTION], kinds())
    file = folder / "types" / "km_cx160.yaml"
    file.write_text(file.read_text() + "# by another hand\n")
    before = contents(folder)
    with pytest.raises(ChangedMeanwhileError):
        change.write()
    assert contents(folder) == before


def test_line_ends_of_windows_stay(folder):
    file = folder / "types" / "km_cx160.yaml"
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n"))
    edited(folder, [INJECTION], kinds()).write()
    written = file.read_bytes()
    assert written.startswith(b"\xef\xbb\xbf")
    assert written.count(b"\n") == written.count(b"\r\n")


def test_a_machine_and_its_source_come_last_in_line(folder):
    new = [
        AddSource("hamburg", "im-09", {"kind": "opcua", "endpoint": "opc.tcp://10.0.0.9:4840"}),
        AddMachine("hamburg", "moulding", "line-1", "im-09",
                   {"type": "km_cx160", "source": "im-09", "params": {"root": "IM09"}}),
    ]  # fmt: skip
    change = edited(folder, new, kinds())
    assert (
        "           im-03: {name: IM 03, type: km_cx160, source: im-03, params: {root: IM03}}\n"
        "+          im-09: {type: km_cx160, source: im-09, params: {root: IM09}}\n"
    ) in change.diff()
    assert "acme/hamburg/moulding/line-1/im-09" in change.loaded.plant.machines


def test_a_line_that_is_not_there_is_named(folder):
    with pytest.raises(EditError, match="no line `hamburg/moulding/line-9`; there are"):
        edited(folder, [AddMachine("hamburg", "moulding", "line-9", "x", {})], kinds())


def new_press(**params: str) -> list[AddType | AddSource | AddMachine]:
    root = {"root": "Folder of the machine."} | params
    return [
        AddType("press_2026", "opcua", {
            "machine_state.state": {"tag": "ns=2;s={root}.State", "codes": {"3": "execute"}},
            "part_count.good": {"tag": "ns=2;s={root}.Good", "counter": {}},
        }, title="Press 2026", params=root),
        AddSource("hamburg", "im-09", {"kind": "opcua", "endpoint": "opc.tcp://10.0.0.9:4840"}),
        AddMachine("hamburg", "moulding", "line-1", "im-09",
                   {"type": "press_2026", "source": "im-09", "params": {"root": "IM09"}}),
    ]  # fmt: skip


def test_a_new_type_with_its_first_machine_in_one_go(folder):
    change = edited(folder, new_press(), kinds())
    change.write()
    assert (folder / "types" / "press_2026.yaml").read_text(encoding="utf-8") == (
        "machine_type: press_2026\n"
        "name: Press 2026\n"
        "kind: opcua\n"
        "blocks: [machine_state, part_count]\n"
        "params:\n"
        "  root: {doc: Folder of the machine.}\n"
        "map:\n"
        '  machine_state.state: {tag: "ns=2;s={root}.State", codes: {"3": execute}}\n'
        '  part_count.good:     {tag: "ns=2;s={root}.Good", counter: {}}\n'
    )
    assert "acme/hamburg/moulding/line-1/im-09" in load(folder, kinds()).machines


def test_a_new_type_with_a_mistake_leaves_no_file(folder):
    before = contents(folder)
    with pytest.raises(ProblemsError, match=r"no tag has `\{other\}`"):
        edited(folder, new_press(other="Nobody uses it."), kinds())
    assert contents(folder) == before


# Many ----------------------------------------------------------------------------------------


def forty(separator: str = ",") -> str:
    rows = [["machine", "name", "root", "host"]]
    rows += [[f"im-{n}", f"IM {n}", f"IM{n}", f"10.1.4.{n}"] for n in range(50, 90)]
    return "\n".join(separator.join(row) for row in rows) + "\n"


ENDPOINT = {"source.endpoint": "opc.tcp://{host}:4840", "source.interval": "250 ms"}


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_forty_machines_from_a_table(folder, separator):
    plant = load(folder, kinds())
    bulk = machines_of(read_table("\ufeff" + forty(separator)), LINE, plant, ENDPOINT)
    change = edited(folder, bulk.edits, kinds())
    change.write()
    after = load(folder, kinds())
    assert len(after.machines) == len(plant.machines) + 40
    assert after.sources["im-77"].spec.endpoint == "opc.tcp://10.1.4.77:4840"
    assert "ns=2;s=IM77.GoodParts" in after.sources["im-77"].tags


def test_all_mistakes_of_a_table_are_told_at_once(folder):
    plant = load(folder, kinds())
    text = (
        "machine,root,source,colour\nIM 7,A,im-01,red\nim-01,,im-01,\n"
        "im-90,B,nowhere,\nim-90,C,im-01,\n"
    )
    with pytest.raises(RowsError) as error:
        machines_of(read_table(text), LINE, plant)
    assert [str(one).split(";")[0] for one in error.value.problems] == [
        "row 1, column `colour`: nothing uses this column",
        "row 2, column `machine`: `IM 7`: only lower case letters, digits, `-` and `_`",
        "row 3, column `machine`: there is a machine `acme/hamburg/moulding/line-1/im-01` already",
        "row 3, column `root`: is empty",
        "row 4, column `source`: no source `nowhere`",
        "row 5, column `machine`: `im-90` stands in row 4 already",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the table is empty"),
        ("machine,root\n", "no machine"),
        ("machine,root\na,b,c\n", "row 2: 3 cells, but 2 columns"),
        ("machine,machine\na,b\n", "the column is there twice"),
        ('machine,root\n"a,b\n', "not CSV"),
    ],
)
def test_what_is_no_table_says_why(folder, text, said):
    with pytest.raises(RowsError, match=said):
        machines_of(read_table(text), LINE, load(folder, kinds()))


def test_a_problem_of_the_model_leads_back_to_its_row(folder):
    plant = load(folder, kinds())
    text = forty().replace("10.1.4.52", "10.1 .4.52")
    bulk = machines_of(read_table(text), LINE, plant, ENDPOINT)
    with pytest.raises(ProblemsError) as error:
        edited(folder, bulk.edits, kinds())
    assert bulk.row_of(error.value.problems[0].address) == 4


# Another like it -----------------------------------------------------------------------------


def clone(folder: Path, original: str, copy: str, **given: str):
    texts, _ = model_files(folder)
    named = {key.replace("__", "."): value for key, value in given.items()}
    return cloned(texts, load(folder, kinds()), original, copy, named)


def test_what_a_copy_must_differ_in_is_listed(folder):
    with pytest.raises(MustDifferError) as error:
        clone(folder, "hamburg/moulding/line-1/im-01", "graz/assembly/line-2/im-21")
    assert [one.key for one in error.value.missing] == ["source.endpoint", "params.root"]
    assert "opc.tcp://127.0.0.1:${ACME_IM01:-48401}" in str(error.value)


def test_a_machine_is_copied_into_another_plant(folder):
    edits = clone(
        folder, "acme/hamburg/moulding/line-1/im-01", "graz/assembly/line-2/im-21",
        source__endpoint="opc.tcp://10.9.0.21:4840", params__root="IM21",
    )  # fmt: skip
    change = edited(folder, edits, kinds())
    assert list(change.after) == ["sites/graz.yaml"]
    assert (
        '+  im-21: {kind: opcua, endpoint: "opc.tcp://10.9.0.21:4840", security: none,'
        " interval: 250 ms}"
    ) in change.diff()
    copy = change.loaded.plant.machines["acme/graz/assembly/line-2/im-21"]
    assert (copy.type, copy.source) == ("km_cx160", "im-21")


def test_a_machine_behind_a_gateway_shares_it_within_its_plant(folder):
    edits = clone(
        folder, "hamburg/moulding/line-2/im-04", "hamburg/moulding/line-2/im-44",
        params__root="IM44",
    )  # fmt: skip
    assert [type(one) for one in edits] == [AddMachine]
    assert edited(folder, edits, kinds()).loaded.plant.machines[
        "acme/hamburg/moulding/line-2/im-44"
    ].source == "line-2-gateway"  # fmt: skip


def test_a_secret_is_copied_by_its_name(folder):
    site = folder / "sites" / "hamburg.yaml"
    site.write_text(site.read_text().replace(
        "  im-01: {kind: opcua,", "  im-01: {user: us, password: !secret press, kind: opcua,"
    ))  # fmt: skip
    (folder / "secrets.yaml").write_text("press: moulding\n")
    edits = clone(
        folder, "hamburg/moulding/line-1/im-01", "graz/assembly/line-2/im-21",
        source__endpoint="opc.tcp://10.9.0.21:4840", params__root="IM21",
    )  # fmt: skip
    diff = edited(folder, edits, kinds()).diff()
    assert "password: !secret press" in diff
    assert "moulding\n" not in diff


def test_a_copy_of_nothing_says_what_there_is(folder):
    with pytest.raises(EditError, match="did you mean"):
        clone(folder, "acme/hamburg/moulding/line-1/im-0", "graz/assembly/line-2/x")


# What is there says something else, or goes -----------------------------------------------------


def line(name: str) -> tuple[str, str, str, str]:
    return "hamburg", "moulding", "line-1", name


def test_a_source_says_something_else_and_its_other_values_stay(folder):
    texts, _ = model_files(folder)
    entry = written_at(texts, "hamburg", ("sources", "im-01"))
    change = edited(
        folder, [ChangeSource("hamburg", "im-01", entry | {"interval": "2 s"})], kinds()
    )
    (old,) = re.findall("^-( .*)", change.diff(), re.MULTILINE)
    (new,) = re.findall(r"^\+( .*)", change.diff(), re.MULTILINE)
    assert "${ACME_IM01:-48401}" in new
    assert new == old.replace("interval: 250 ms", "interval: 2 s")


def test_a_source_that_machines_read_from_does_not_leave_alone(folder):
    with pytest.raises(ProblemsError, match="no source `im-01`"):
        edited(folder, [RemoveSource("hamburg", "im-01")], kinds())


def test_a_source_leaves_when_its_machine_does_or_reads_from_another(folder):
    leave = [RemoveMachine(*line("im-01")), RemoveSource("hamburg", "im-01")]
    gone = edited(folder, leave, kinds()).loaded.plant
    assert "acme/hamburg/moulding/line-1/im-01" not in gone.machines
    assert "im-01" not in gone.sources
    stay = [ReadFrom(*line("im-01"), "im-02"), RemoveSource("hamburg", "im-01")]
    moved = edited(folder, stay, kinds()).loaded.plant
    assert moved.machines["acme/hamburg/moulding/line-1/im-01"].source == "im-02"


def test_the_last_machine_of_a_line_leaves_the_line_there(folder):
    there = load(folder, kinds()).machines.values()
    names = [one.path.split("/")[-1] for one in there if one.path.startswith(
        "acme/hamburg/moulding/line-1/")]  # fmt: skip
    edits = [edit for name in names for edit in (
        RemoveMachine(*line(name)), RemoveSource("hamburg", name))]  # fmt: skip
    plant = edited(folder, edits, kinds()).loaded.plant
    assert "moulding/line-1" in plant.sites["hamburg"].lines


def test_a_change_is_undone_to_the_letter(folder):
    file = folder / "sites" / "hamburg.yaml"
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n"))
    before = contents(folder)
    change = edited(
        folder, [RemoveMachine(*line("im-01")), RemoveSource("hamburg", "im-01")], kinds()
    )
    change.write()
    restored(folder, change.done(), kinds()).write()
    assert contents(folder) == before


def test_a_change_is_not_undone_once_the_file_is_another(folder):
    change = edited(folder, [INJECTION], kinds())
    change.write()
    file = folder / "types" / "km_cx160.yaml"
    file.write_text(file.read_text() + "# by another hand\n")
    with pytest.raises(ChangedMeanwhileError, match="cannot be undone"):
        restored(folder, change.done(), kinds())
