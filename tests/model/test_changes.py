"""Changes between plants: complete, minimal, and shown without secrets."""

import json
from typing import Any, get_args

from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.model.changes import Change, Kind, affected_sources, apply, changes
from isthmus.model.plan_text import plan_text
from isthmus.model.plant import Plant

from .models import FILES, changed, plant_of, read_model

SHIFTS = st.sampled_from(
    [
        {"early": "06:00-14:00"},
        {"early": "06:00-14:00", "late": "14:00-22:00"},
        {"night": "22:00-06:00"},
    ]
)
CALENDAR = st.one_of(st.none(), st.builds(lambda shifts: {"shifts": shifts}, SHIFTS))
LABEL = st.fixed_dictionaries({"en": st.sampled_from(["Jam", "Set-up", "No material"])})


def _without_none(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


@st.composite
def plants(draw: st.DrawFn) -> Plant:
    """Plants by way of the model: what `resolve` can make, with names that meet again."""
    reasons = draw(st.permutations(["jam", "setup", "wait", "tool"]))
    company = {
        "enterprise": "acme",
        "name": draw(st.sampled_from(["Acme", "ACME Plastics"])),
        "reasons": [
            {"reason": name, "label": draw(LABEL)} for name in reasons[: draw(st.integers(0, 4))]
        ],
        "systems": {"erp": {"kind": "sql", "url": draw(st.sampled_from(["a", "b"]))}},
    }
    category = draw(st.sampled_from(["idle", "stopped"]))
    values = {"run": {"category": "production"}, "stop": {"category": category}}
    documents: list[dict[str, Any]] = [
        company,
        {"code_system": "states", "values": values},
        {
            "block": "machine_state",
            "version": 1,
            "fields": {"state": {"type": "enum", "values": "states"}, "note": {"type": "text"}},
        },
        *(draw(types(name)) for name in ("press", "mill")),
        {"materials": [{"material": "M-1", "ideal_cycle": draw(st.sampled_from(["5 s", "6 s"]))}]},
    ]
    names = draw(st.sets(st.sampled_from(["hamburg", "graz"])))
    documents += (draw(sites(name)) for name in sorted(names))
    loaded = read_model({f"{i}.yaml": json.dumps(each) for i, each in enumerate(documents)})
    assert loaded.plant is not None, "\n".join(each.render() for each in loaded.problems)
    return loaded.plant


@st.composite
def types(draw: st.DrawFn, name: str) -> dict[str, Any]:
    mapped = {
        "machine_state.state": {"tag": "ns=1;s={root}.S", "codes": {"1": "run", "2": "stop"}},
        "machine_state.note": {"tag": draw(st.sampled_from(["ns=1;s={root}.N", "ns=2;s=N"]))},
        "part_count.good": {"tag": "ns=1;s={root}.G", "scale": draw(st.sampled_from([1, 2]))},
    }
    kept = draw(st.sets(st.sampled_from(sorted(mapped))))
    return {
        "machine_type": name,
        "blocks": ["machine_state", "part_count"],
        "params": {"root": {"default": draw(st.sampled_from(["A", "B"]))}},
        "map": {key: mapped[key] for key in sorted(kept)},
    }


@st.composite
def sites(draw: st.DrawFn, name: str) -> dict[str, Any]:
    sources = [f"{name}-{i}" for i in range(3)]
    machine = st.fixed_dictionaries(
        {
            "type": st.sampled_from(["press", "mill"]),
            "source": st.sampled_from(sources),
            "calendar": CALENDAR,
        }
    ).map(_without_none)
    machines = draw(st.dictionaries(st.sampled_from(["m-1", "m-2", "m-3"]), machine))
    line = _without_none({"machines": machines, "calendar": draw(CALENDAR)})
    return _without_none({
        "site": name,
        "calendar": draw(CALENDAR),
        "areas": {"area": {"lines": {draw(st.sampled_from(["line-1", "line-2"])): line}}},
        "sources": {
            source: {"kind": "opcua", "endpoint": draw(st.sampled_from(["opc.tcp://a", "opc.tcp://b"]))}
            for source in sources
        },
        "use_cases": draw(st.lists(st.sampled_from(["oee", "energy"]), unique=True)),
        "targets": {"oee": draw(st.sampled_from([0.8, 0.85]))},
    })  # fmt: skip


@settings(max_examples=50, deadline=None)
@given(plants())
def test_nothing_changes_between_a_plant_and_itself(plant: Plant):
    assert changes(plant, plant) == ()


@settings(max_examples=100, deadline=None)
@given(plants(), plants())
def test_applying_the_changes_makes_the_other_plant(before: Plant, after: Plant):
    assert apply(before, changes(before, after)) == after


@settings(max_examples=50, deadline=None)
@given(plants(), plants())
def test_sources_that_no_change_touches_read_the_same(before: Plant, after: Plant):
    touched = affected_sources(changes(before, after))
    for name in {*before.sources, *after.sources} - touched:
        assert before.sources[name] == after.sources[name]
        assert _maps(before, name) == _maps(after, name)


def _maps(plant: Plant, source: str) -> list[Any]:
    machines = sorted(plant.machines.values(), key=lambda machine: machine.path)
    return [machine.maps for machine in machines if machine.source == source]


@settings(max_examples=50, deadline=None)
@given(plants(), plants())
def test_every_change_can_be_shown(before: Plant, after: Plant):
    found = changes(before, after)
    assert len(json.loads(plan_text(found, "json"))) == len(found)
    assert plan_text(found, "text")


def test_removals_come_first_and_needs_before_what_needs_them():
    before = plant_of()
    after = plant_of(
        {**FILES, "sites/hamburg.yaml": FILES["sites/hamburg.yaml"].replace("im", "pr")}
    )
    assert [(each.action, each.kind) for each in changes(before, after)] == [
        ("remove", "calendar"),
        ("remove", "mapping"),
        ("remove", "mapping"),
        ("remove", "machine"),
        ("remove", "source"),
        ("add", "source"),
        ("add", "machine"),
        ("add", "mapping"),
        ("add", "mapping"),
        ("add", "calendar"),
    ]


def test_another_title_interrupts_no_source():
    after = plant_of(changed("{type: press,", "{type: press, name: Press 7,"))
    found = changes(plant_of(), after)
    assert [(each.kind, each.sources) for each in found] == [("machine", frozenset())]


def test_another_counter_width_interrupts_the_machines_source():
    found = changes(plant_of(), plant_of(changed("bits: 16", "bits: 32")))
    assert affected_sources(found) == {"im07"}
    assert plan_text(found, "text") == (
        "~ machine type press\n"
        "    map.part_count.good.counter.bits: 16 → 32\n"
        "~ mapping part_count.good of acme/hamburg/moulding/line-1/im-07\n"
        "    counter.bits: 16 → 32\n"
        "\n"
        "0 to add, 2 to alter, 0 to remove; interrupts im07"
    )


def test_the_summary_counts_what_is_shown_and_a_new_source_is_not_interrupted():
    site = FILES["sites/hamburg.yaml"].replace("im", "pr")
    shown = plan_text(changes(plant_of(), plant_of({**FILES, "sites/hamburg.yaml": site})), "text")
    *lines, _, summary = shown.splitlines()
    assert [line[0] for line in lines] == ["−", "−", "+", "+"]
    assert summary == "2 to add, 0 to alter, 2 to remove; interrupts im07"


def test_plan_in_german_says_the_same_with_the_same_names():
    found = changes(plant_of(), plant_of(changed("bits: 16", "bits: 32")))
    assert plan_text(found, "text", "de") == (
        "~ Maschinentyp press\n"
        "    map.part_count.good.counter.bits: 16 → 32\n"
        "~ Zuordnung part_count.good von acme/hamburg/moulding/line-1/im-07\n"
        "    counter.bits: 16 → 32\n"
        "\n"
        "0 neu, 2 geändert, 0 entfernt; unterbricht im07"
    )
    assert plan_text((), "text", "de") == "nichts würde sich ändern"


def test_every_kind_of_change_has_a_german_word():
    for kind in get_args(Kind):
        german = plan_text([Change("add", kind, "name", None, None)], "text", "de")
        assert german.startswith("+ ")
        assert kind not in german or kind in {"block", "material", "system"}


def test_plan_hides_passwords_and_secrets():
    address = 'endpoint: "opc.tcp://10.1.4.7:4840"'
    before = plant_of(changed(address, f"{address}, user: !secret opc, password: geheim123"))
    loaded = read_model(
        changed(address, f"{address}, user: !secret opc, password: geheim456"),
        ISTHMUS_SECRET_OPC="hunter33",
    )
    assert loaded.plant is not None
    found = changes(before, loaded.plant)
    for form in ("text", "json"):
        shown = plan_text(found, form)
        assert not any(word in shown for word in ("hunter", "geheim"))
    assert "user: ••• → •••" in plan_text(found, "text")
    assert "hunter" not in repr(loaded.plant)
    assert "geheim" not in repr(loaded.plant)


def test_no_change_says_so():
    assert plan_text((), "text") == "nothing would change"
