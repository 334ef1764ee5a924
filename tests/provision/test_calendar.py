import json
from datetime import date

import pyarrow.compute as pc
import pytest
from typer import Typer
from typer.testing import CliRunner

from isthmus.base.clock import DAY, parse_time
from isthmus.cli.calendar import CalendarError, calendar, shift_rows
from isthmus.flow.parcel import TIME
from isthmus.model.spec.calendar import Calendar, Shift
from isthmus.provision.calendar import planned_down_table, shift_table, shifts

EVERY_DAY = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
START, END = parse_time("2026-11-17T00:00Z"), parse_time("2026-11-18T00:00Z")


def day_shift(time="06:00-14:00"):
    return (Calendar(shifts={"day": Shift(time=time, days=EVERY_DAY, breaks=["10:00-10:30"])}),)


def test_shift_table_has_every_machine_with_its_own_calendar(plant, machine):
    company = plant([
        machine("acme/hamburg/moulding/line-1/im-01", day_shift()),
        machine("acme/hamburg/moulding/line-1/im-02", day_shift()),
        machine("acme/graz/machining/line-2/mill", day_shift("08:00-16:00"), "Europe/Vienna"),
    ])  # fmt: skip
    table = shift_table(company, START, END)
    assert table.column_names == ["site", "line", "machine", "shift", "day", "start", "end"]
    assert table.schema.field("start").type == TIME
    rows = sorted(table.select(["machine", "site", "line", "day"]).to_pylist(),
                  key=lambda row: row["machine"])  # fmt: skip
    assert [(row["machine"].rsplit("/", 1)[1], row["site"], row["line"]) for row in rows] == [
        ("mill", "graz", "line-2"), ("im-01", "hamburg", "line-1"), ("im-02", "hamburg", "line-1"),
    ]  # fmt: skip
    assert {row["day"] for row in rows} == {date(2026, 11, 17)}
    hours = {row["machine"].rsplit("/", 1)[1]: row["start"].hour for row in table.to_pylist()}
    assert hours == {"im-01": 6, "im-02": 6, "mill": 7}


def test_planned_down_table_has_the_breaks_of_every_machine(plant, machine):
    paths = [f"acme/hamburg/moulding/line-1/im-{number}" for number in range(3)]
    table = planned_down_table(plant([machine(path, day_shift()) for path in paths]), START, END)
    assert table.column_names == ["machine", "start", "end", "why"]
    assert sorted(table["machine"].to_pylist()) == paths
    assert set(table["why"].to_pylist()) == {"break"}
    assert pc.unique(pc.subtract(table["end"], table["start"])).to_pylist()[0].seconds == 1800


def test_plant_without_machines_or_calendars_has_empty_tables(plant, machine):
    for company in (plant([]), plant([machine("acme/hamburg/a/l/m", ())])):
        assert len(shift_table(company, START, END)) == 0
        assert len(planned_down_table(company, START, END)) == 0


def test_machines_of_a_line_may_work_by_different_calendars(plant, machine):
    one, two = "acme/hamburg/moulding/line-1/im-01", "acme/hamburg/moulding/line-1/im-02"
    company = plant([machine(one, day_shift()), machine(two, day_shift("08:00-16:00"))])
    assert len(shifts(company, two, START, END)) == 1
    with pytest.raises(ValueError, match="2 different calendars"):
        shifts(company, "acme/hamburg/moulding/line-1", START, END)
    with pytest.raises(ValueError, match="no machine and no site `acme/hambrug`"):
        shifts(company, "acme/hambrug", START, END)


def test_site_without_machines_has_the_shifts_of_its_own_calendar(plant):
    company = plant([], calendars=day_shift())
    assert [shift.shift for shift in shifts(company, "acme/hamburg", START, END)] == ["day"]


def test_calendar_command_selects_days_both_included(plant, machine):
    night = (Calendar(shifts={"night": Shift(time="22:00-06:00", days=EVERY_DAY)}),)
    company = plant(
        [machine("acme/hamburg/moulding/line-1/im-01", night, "Europe/Berlin")], "Europe/Berlin"
    )
    rows = list(shift_rows(company, "hamburg", "", "2026-03-27", "2026-03-29"))
    assert [(row.day, row.start, row.end, row.seconds) for row in rows] == [
        ("2026-03-27", "2026-03-27T21:00:00Z", "2026-03-28T05:00:00Z", 28_800),
        ("2026-03-28", "2026-03-28T21:00:00Z", "2026-03-29T04:00:00Z", 25_200),
        ("2026-03-29", "2026-03-29T20:00:00Z", "2026-03-30T04:00:00Z", 28_800),
    ]
    (one,) = shift_rows(company, "hamburg", "line-1", "2026-10-24", "")
    assert one.seconds == 32_400
    (same,) = shift_rows(
        company, "hamburg", "", "2026-10-24T21:00:00Z", "2026-10-24T22:00:00+00:00"
    )
    assert same == one


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        (("hambrug", "", "2026-03-27", ""), "no site `hambrug`: did you mean `hamburg`?"),
        (("", "", "2026-03-27", ""), "give a site: there is hamburg"),
        (("hamburg", "line-7", "2026-03-27", ""), "did you mean `line-1`"),
        (("hamburg", "", "", ""), "give the first day"),
        (("hamburg", "", "27.03.2026", ""), "write a day"),
        (("hamburg", "", "2026-03-27", "2026-03-27T06:00:00"), "a time with its zone"),
        (("hamburg", "", "2026-03-27", "2026-03-26"), "is before"),
    ],
)
def test_calendar_command_says_what_can_be_asked(plant, machine, asked, answer):
    company = plant([machine("acme/hamburg/moulding/line-1/im-01", day_shift())])
    with pytest.raises(CalendarError, match=answer.replace("?", r"\?")):
        list(shift_rows(company, *asked))


MODEL = """
enterprise: acme
timezone: Europe/Berlin
---
site: hamburg
areas: {moulding: {lines: {line-1: {machines: {}}}}}
calendar:
  shifts: {night: {time: "22:00-06:00", days: [mon, tue, wed, thu, fri, sat, sun]}}
"""


def run(*arguments):
    app = Typer()
    app.command()(calendar)
    return CliRunner().invoke(app, list(arguments))


def test_calendar_command_prints_json_and_a_table(tmp_path):
    (tmp_path / "company.yaml").write_text(MODEL)
    asked = (str(tmp_path), "--site", "hamburg", "--from", "2026-03-28", "--to", "2026-03-28")
    (row,) = json.loads(run(*asked, "--format", "json").stdout)
    wanted = {
        "site": "hamburg", "shift": "night", "day": "2026-03-28",
        "start": "2026-03-28T21:00:00Z", "end": "2026-03-29T04:00:00Z",
        "seconds": 25_200, "planned_seconds": 25_200,
    }  # fmt: skip
    assert wanted.items() <= row.items()
    assert "25,200" in run(*asked).stdout


def test_calendar_command_ends_with_1_when_the_site_is_unknown(tmp_path):
    (tmp_path / "company.yaml").write_text(MODEL)
    done = run(str(tmp_path), "--site", "graz", "--from", "2026-03-28")
    assert (done.exit_code, done.stdout) == (1, "")


def test_one_year_of_a_thousand_machines_computes_each_calendar_once(plant, machine, monkeypatch):
    asked = []

    def counting(calendars, timezone, start, end):
        asked.append(timezone)
        return intervals(calendars, timezone, start, end)

    from isthmus.provision import calendar as module
    from isthmus.provision.shift import intervals

    monkeypatch.setattr(module, "intervals", counting)
    same, other = day_shift(), day_shift("08:00-16:00")
    machines = [
        machine(
            f"acme/hamburg/moulding/line-{number % 40}/m-{number}", other if number % 2 else same
        )
        for number in range(1000)
    ]
    table = shift_table(plant(machines), START, START + 365 * DAY)
    assert (len(asked), len(table)) == (2, 365 * 1000)
