"""Reading folders: stages, secrets, overriding, and what the plant is made of."""

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.base.problem import ProblemsError
from isthmus.model.load import load, read
from isthmus.model.plant import FieldMap
from isthmus.model.spec.machine_type import Counter

from .fakes import ENV, KINDS
from .models import FILES, SITE, TYPE, changed, codes, plant_of, read_model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


def test_folder_becomes_a_plant(folder: Path):
    plant = load(folder, KINDS, {})
    assert list(plant.machines) == ["acme/hamburg/moulding/line-1/im-07"]
    assert plant == load(folder, KINDS, {})


def test_all_problems_of_a_stage_are_raised_at_once(folder: Path):
    (folder / "bad.yaml").write_text("site: graz\nname: 5\nzone: x\nsources: {a: {kind: opc}}\n")
    with pytest.raises(ProblemsError) as raised:
        load(folder, KINDS, {})
    assert sorted(each.code for each in raised.value.problems) == ["M011", "M012", "M040"]


def test_rules_wait_until_the_shape_is_right():
    both = {**changed("source: im07", "source: im7"), "more.yaml": "material: 5\n"}
    assert codes(read_model(both)) == ["M012"]


def test_warnings_do_not_stop_a_model():
    loaded = read_model({**FILES, "s.yaml": "site: graz\nsources: {b: {kind: modbus, host: b}}\n"})
    assert codes(loaded) == ["M044"]
    assert loaded.plant is not None


def test_files_may_be_split_at_will():
    together = {"all.yaml": "---\n".join(FILES.values())}
    assert plant_of(together) == plant_of()


def test_hidden_folders_and_other_files_are_not_read(folder: Path):
    (folder / ".git").mkdir()
    (folder / ".git" / "x.yaml").write_text("nonsense: [")
    (folder / "notes.txt").write_text("nonsense: [")
    assert read(folder, KINDS, {}).problems == ()


def test_empty_folder_is_not_a_model(tmp_path: Path):
    assert codes(read(tmp_path, KINDS, {})) == ["M015"]


def test_secrets_file_beside_the_model_fills_and_never_shows(folder: Path):
    (folder / "secrets.yaml").write_text("opc: geheim-7\n")
    site = folder / "sites" / "hamburg.yaml"
    wrong = '"opc.tcp://10.1.4.7:4840", user: !secret opc, timeout: !secret opc, wrong: geheim-7'
    site.write_text(SITE.replace('"opc.tcp://10.1.4.7:4840"', wrong))
    loaded = read(folder, KINDS, {})
    assert codes(loaded) == ["M013", "M011"]
    assert "geheim" not in repr(loaded)
    assert "the secret `opc`" in loaded.problems[0].message


def test_environment_values_never_show():
    files = changed('"opc.tcp://10.1.4.7:4840"', '"${ENDPOINT}", timeout: "${TIMEOUT}"')
    loaded = read_model(files, ENDPOINT="http://geheim", TIMEOUT="geheim")
    assert codes(loaded) == ["M013", "M013"]
    assert "geheim" not in repr(loaded)


def test_variable_in_braces_is_a_number_where_one_is_wanted():
    files = changed("{kind: opcua, ", '{enabled: "${ON}", kind: opcua, user: "${USER_NUMBER}", ')
    loaded = read_model(files, ON="false", USER_NUMBER="007")
    assert loaded.plant is not None
    spec = loaded.plant.sources["im07"].spec
    assert (spec.enabled, spec.user) == (False, "007")  # type: ignore[attr-defined]
    assert codes(read_model(files, ON="off", USER_NUMBER="7")) == ["M012"]


def test_wrong_password_type_does_not_show_the_password():
    loaded = read_model(changed('4840"', '4840", password: 12345678'))
    assert codes(loaded) == ["M012"]
    assert "1234" not in loaded.problems[0].render()


def test_one_mistake_is_said_once_in_each_place_of_a_union():
    loaded = read_model(changed('late: "14:00-22:00"', "late: {time: 14-22, days: [mo]}"))
    assert [each.address for each in loaded.problems] == [
        "sites.hamburg.calendar.shifts.late.time",
        "sites.hamburg.calendar.shifts.late.days.0",
    ]


def test_source_is_checked_although_its_site_is_wrong():
    files = changed("site: hamburg", "site: hamburg\nnam: x")
    files["sites/hamburg.yaml"] = files["sites/hamburg.yaml"].replace("kind: opcua", "kind: opc")
    assert codes(read_model(files)) == ["M011", "M040"]


def test_float_without_unit_is_no_duration():
    assert codes(read_model(changed('4840"', '4840", timeout: 2.5'))) == ["M013"]


def test_tags_are_filled_and_collected_per_source():
    plant = plant_of()
    assert plant.sources["im07"].tags == ("ns=4;s=IM07.Good", "ns=4;s=IM07.State")
    assert plant.sources["im07"].machines == ("acme/hamburg/moulding/line-1/im-07",)


def test_counter_and_codes_reach_the_field_map():
    state, good = plant_of().machines["acme/hamburg/moulding/line-1/im-07"].maps
    assert state.codes == (("0", "stopped"), ("1", "idle"), ("3", "execute"))
    assert state.names is not None
    assert len(state.names) == 17
    assert good == FieldMap(
        machine="acme/hamburg/moulding/line-1/im-07", block="part_count", field="good",
        type="counter", tag="ns=4;s=IM07.Good", counter=Counter(bits=16),
    )  # fmt: skip


def test_scaling_comes_before_the_unit():
    """A register of tenths of °F with an offset becomes °C."""
    block = "block: melt\nversion: 1\nfields:\n  temp: {type: number, unit: Cel}\n"
    mapping = 'melt.temp: {tag: "ns=4;s=T", unit: "[degF]", scale: 0.1, offset: 2}'
    files = {
        **FILES,
        "melt.yaml": block,
        "types/press.yaml": TYPE.replace("[machine_state,", "[melt, machine_state,")
        + f"  {mapping}\n",
    }
    maps = plant_of(files).machines["acme/hamburg/moulding/line-1/im-07"].maps
    (temp,) = (each for each in maps if each.block == "melt")
    assert 300 * temp.scale + temp.offset == pytest.approx(0.0)
    assert 2100 * temp.scale + temp.offset == pytest.approx(100.0)


def test_calendar_is_inherited_from_machine_line_site():
    site = """\
site: hamburg
calendar: {shifts: {site: "06:00-14:00"}}
areas:
  a:
    lines:
      own:
        calendar: {shifts: {line: "06:00-14:00"}}
        machines:
          m-1: {type: press, source: im07, params: {root: A}}
          m-2:
            {type: press, source: im07, params: {root: B}, calendar: {shifts: {own: "06:00-14:00"}}}
      none:
        machines:
          m-3: {type: press, source: im07, params: {root: C}}
sources:
  im07: {kind: opcua, endpoint: "opc.tcp://10.1.4.7:4840"}
"""
    machines = plant_of({**FILES, "sites/hamburg.yaml": site}).machines.values()
    assert [list(each.calendars[0].shifts) for each in machines] == [
        ["line"],
        ["own"],
        ["site"],
    ]


def test_calendars_are_ordered_by_their_date():
    two = '[{from: 2026-07-01, shifts: {b: "06:00-14:00"}}, {shifts: {a: "06:00-14:00"}}]'
    files = changed(SITE.splitlines()[1], f"calendar: {two}")
    machine = plant_of(files).machines["acme/hamburg/moulding/line-1/im-07"]
    assert [list(each.shifts) for each in machine.calendars] == [["a"], ["b"]]


def test_packml_has_seventeen_states_that_all_count_somewhere():
    plant = plant_of()
    packml = plant.code_systems["packml"]
    assert packml.model == "OPC 30050 v1.01"
    assert sorted(code.code or 0 for code in packml.values.values()) == list(range(1, 18))
    assert all(code.label.keys() == {"en", "de"} for code in packml.values.values())
    assert set(plant.state_categories) == set(packml.values)
    assert plant.state_categories["execute"] == "production"
    assert plant.state_categories["held"] == "idle"
    assert plant.state_categories["aborted"] == "stopped"
    assert plant.state_categories["starting"] == "setup"


def test_company_may_declare_a_library_block_anew():
    own = "block: part_count\nversion: 2\nfields: {good: {type: counter, unit: kg}}\n"
    plant = plant_of({**FILES, "own.yaml": own})
    assert plant.blocks["part_count"].version == 2
    assert list(plant.blocks["part_count"].fields) == ["good"]


def test_use_case_options_are_checked_and_kept():
    files = changed("use_cases: [oee]", "use_cases: {oee: {time_model: tpm}}")
    assert plant_of(files).sites["hamburg"].use_cases["oee"].time_model == "tpm"  # type: ignore[attr-defined]
    wrong = changed("use_cases: [oee]", "use_cases: {oee: {time_modell: tpm}}")
    assert codes(read_model(wrong)) == ["M011"]


def test_parameter_of_the_type_may_have_a_default():
    files = changed("root: {}", "root: {default: X}")
    files["sites/hamburg.yaml"] = SITE.replace(", params: {root: IM07}", "")
    assert plant_of(files).sources["im07"].tags == ("ns=4;s=X.Good", "ns=4;s=X.State")


def test_double_braces_are_braces():
    files = changed('"ns=4;s={root}.Good"', '"ns=4;s={{x}}.{root}"')
    assert "ns=4;s={x}.IM07" in plant_of(files).sources["im07"].tags


def test_reading_needs_no_environment_of_this_process(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HOST_OF_IM07", "10.1.4.7")
    site = folder / "sites" / "hamburg.yaml"
    site.write_text(SITE.replace("10.1.4.7", "${HOST_OF_IM07}"))
    assert codes(read(folder, KINDS, ENV)) == ["M005"]
    assert read(folder, KINDS).problems == ()


WORDS = st.sampled_from([
    "null", "5", "-1", "true", "[]", "{}", "[1, {a: b}]", "x", "''", "2026-01-01", "1.5", "${X}",
    "!secret opc", "&a x", "*a", "9" * 30, "\n", "  ", "- ", ": ", "'", '"', "{", "}", "\u2028",
])  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_whatever_is_written_is_a_plant_or_a_problem(data: st.DataObject):
    name = data.draw(st.sampled_from(sorted(FILES)))
    text = FILES[name]
    tokens = [found.span() for found in re.finditer(r"[\w.${}/%-]+|\S", text)]
    start, end = data.draw(st.sampled_from(tokens))
    files = {**FILES, name: text[:start] + data.draw(WORDS) + text[end:]}
    loaded = read_model(files)
    errors = [each for each in loaded.problems if each.severity == "error"]
    assert (loaded.plant is None) == bool(errors)
    assert all(each.render() for each in loaded.problems)
