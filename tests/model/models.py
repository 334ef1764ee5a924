"""A small model that has no problem, and ways to change it."""

from collections.abc import Mapping

from isthmus.model.load import Loaded, read_texts
from isthmus.model.plant import Plant

from .fakes import ENV, KINDS

COMPANY = """\
enterprise: acme
timezone: Europe/Berlin
language: de
"""

TYPE = """\
machine_type: press
kind: opcua
blocks: [machine_state, part_count]
params:
  root: {}
map:
  machine_state.state: {tag: "ns=4;s={root}.State", codes: {0: stopped, 1: idle, 3: execute}}
  part_count.good: {tag: "ns=4;s={root}.Good", counter: {bits: 16}}
"""

SITE = """\
site: hamburg
calendar: {shifts: {early: "06:00-14:00", late: "14:00-22:00"}, holidays: DE-HH}
areas:
  moulding:
    lines:
      line-1:
        machines:
          im-07: {type: press, source: im07, params: {root: IM07}}
sources:
  im07: {kind: opcua, endpoint: "opc.tcp://10.1.4.7:4840"}
use_cases: [oee]
"""

FILES = {"company.yaml": COMPANY, "types/press.yaml": TYPE, "sites/hamburg.yaml": SITE}


def read_model(files: Mapping[str, str] | None = None, **env: str) -> Loaded:
    return read_texts(files or FILES, KINDS, ENV | env)


def plant_of(files: Mapping[str, str] | None = None) -> Plant:
    loaded = read_model(files)
    assert loaded.plant is not None, "\n".join(each.render() for each in loaded.problems)
    return loaded.plant


def changed(old: str, new: str) -> dict[str, str]:
    """The model with one text replaced, which must be there exactly once."""
    assert sum(text.count(old) for text in FILES.values()) == 1, old
    return {name: text.replace(old, new) for name, text in FILES.items()}


def codes(loaded: Loaded) -> list[str]:
    return [each.code for each in loaded.problems]
