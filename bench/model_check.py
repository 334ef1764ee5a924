"""How long `check` takes for a thousand machines in fourteen thousand lines (budget: 2 s)."""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.result import Figure, save

from isthmus.model.load import read
from isthmus.runtime.open import kinds

BUDGET_S = 2.0
LINES, MACHINES_PER_LINE = 10, 20
SITES = 5

COMPANY = "enterprise: bench\nname: Bench Industries\ntimezone: Europe/Berlin\n"

BLOCK = """\
block: process
version: 1
fields:
  melt_temp: {type: number, unit: Cel, min: -20, max: 500}
  pressure: {type: number, unit: bar, min: 0, max: 3000}
  power: {type: number, unit: kW}
  recipe: {type: text}
"""

TYPE = """\
machine_type: press-{number}
kind: opcua
blocks: [machine_state, part_count, process]
params:
  root: {{}}
  node: {{default: "4"}}
map:
  machine_state.state:
    tag: "ns={{node}};s={{root}}.State"
    codes: {{0: stopped, 1: idle, 3: execute}}
  part_count.good: {{tag: "ns={{node}};s={{root}}.Good", counter: {{bits: 16}}}}
  part_count.scrap: {{tag: "ns={{node}};s={{root}}.Scrap", counter: {{bits: 32}}}}
  process.melt_temp: {{tag: "ns={{node}};s={{root}}.Melt", unit: "[degF]"}}
  process.pressure: {{tag: "ns={{node}};s={{root}}.Pressure", unit: kPa}}
  process.power: {{tag: "ns={{node}};s={{root}}.Power", unit: W}}
  process.recipe: {{tag: "ns={{node}};s={{root}}.Recipe"}}
"""

MACHINE = """\
          {name}:
            type: press-{type}
            source: {site}-{name}
            name: "Machine {name}"
            params:
              root: "{name}"
            ideal_cycle: 28 s
"""

SOURCE = """\
  {site}-{name}:
    kind: opcua
    endpoint: "opc.tcp://10.{number}:4840"
    user: reader
    password: ${{PLC_PASSWORD}}
    interval: 500 ms
    timeout: 5 s
"""


def generate(folder: Path) -> int:
    """Write the model; returns its number of lines."""
    files = {"company.yaml": COMPANY, "blocks/process.yaml": BLOCK}
    files |= {f"types/press-{i}.yaml": TYPE.format(number=i) for i in range(10)}
    files |= {f"sites/site-{i}.yaml": _site(i) for i in range(SITES)}
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return sum(text.count("\n") for text in files.values())


def _site(number: int) -> str:
    site = f"site-{number}"
    text = [f"site: {site}\n"]
    text.append(
        'calendar: {shifts: {early: "06:00-14:00", late: "14:00-22:00"}, holidays: DE-HH}\n'
    )
    text.append("use_cases: [oee]\nareas:\n  moulding:\n    lines:\n")
    sources = ["sources:\n"]
    for line in range(LINES):
        text.append(f"      line-{line}:\n        machines:\n")
        for position in range(MACHINES_PER_LINE):
            name = f"m-{line:02d}-{position:02d}"
            text.append(MACHINE.format(name=name, type=position % 10, site=site))
            address = f"{number}.{line}.{position}"
            sources.append(SOURCE.format(site=site, name=name, number=address))
    return "".join(text + sources)


def main() -> None:
    os.environ["PLC_PASSWORD"] = "only for the benchmark"  # noqa: S105 - no real one
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lines = generate(folder)
        known = kinds()
        started = time.perf_counter()
        loaded = read(folder, known)
        first = time.perf_counter() - started
        started = time.perf_counter()
        read(folder, known)
        again = time.perf_counter() - started
        assert loaded.plant is not None, loaded.problems[0].render()
        assert len(loaded.plant.machines) == SITES * LINES * MACHINES_PER_LINE
        command = [sys.executable, "-m", "isthmus", "check", str(folder)]
        started = time.perf_counter()
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        ran = subprocess.run(command, check=False, capture_output=True, text=True)
        whole = time.perf_counter() - started
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        assert ran.returncode == 0, ran.stdout + ran.stderr
    save(
        "model_check",
        "check of a thousand machines in fourteen thousand lines",
        [
            Figure("isthmus check, as typed", round(whole, 2), "s", BUDGET_S),
            Figure("reading and rules alone, first time", round(first, 2), "s", BUDGET_S),
            Figure("reading and rules alone, second time", round(again, 2), "s"),
            Figure("processor time of isthmus check", round(processor, 2), "s"),
        ],
        {"lines": lines, "machines": len(loaded.plant.machines)},
    )


if __name__ == "__main__":
    main()
