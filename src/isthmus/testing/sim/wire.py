"""What each make of machine says on its own wire: its tags, units, codes and counters."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field

from isthmus.base.clock import Micros, iso
from isthmus.testing.sim.fleet import SimMachine
from isthmus.testing.sim.machine import CounterReset, Event, OrderStart, Part, State, StateChange


@dataclass(frozen=True)
class Write:
    """A tag gets a value at a device time; what a device server shows and a connector reads."""

    time: Micros
    tag: str
    value: float | int | str


@dataclass
class Panel:
    """What a machine's controller holds between two events."""

    state: State = "off"
    good: int = 0
    scrap: int = 0
    order: str = ""
    melt_temp: float = 21.0
    cycle_s: float = 0.0
    changed: set[str] = field(default_factory=set)

    def take(self, event: Event) -> None:
        self.changed = set()
        match event:
            case StateChange(state=state):
                self._set(state=state)
            case Part(good=good, cycle_s=cycle, melt_temp=temperature):
                count = {"good": self.good + 1} if good else {"scrap": self.scrap + 1}
                self._set(**count, cycle_s=cycle, melt_temp=temperature)
            case OrderStart(order=order):
                self._set(order=order.number)
            case CounterReset():
                self._set(good=0, scrap=0)
            case _:
                pass

    def _set(self, **values: float | str) -> None:
        for name, value in values.items():
            setattr(self, name, value)
        self.changed |= set(values)

    def all(self) -> None:
        """As after power-on: everything is news."""
        self.changed = {"state", "good", "scrap", "order", "melt_temp", "cycle_s"}


Encoder = Callable[[SimMachine, Panel, Micros], list[Write]]

K_CODES: dict[State, int] = {
    "off": 0, "stopped": 0, "idle": 1, "setup": 2, "execute": 3, "aborted": 7,
}  # fmt: skip
A_WORDS: dict[State, str] = {
    "off": "AUS", "stopped": "HALT", "idle": "WARTEN", "setup": "RUESTEN", "execute": "AUTOMATIK",
    "aborted": "STOERUNG",
}  # fmt: skip
EXECUTION: dict[State, str] = {
    "off": "STOPPED", "stopped": "FEED_HOLD", "idle": "READY", "setup": "OPTIONAL_STOP",
    "execute": "ACTIVE", "aborted": "INTERRUPTED",
}  # fmt: skip
CELL_WORDS: dict[State, str] = {
    "off": "OFF", "stopped": "HALT", "idle": "WAIT", "setup": "SETUP", "execute": "RUN",
    "aborted": "FAULT",
}  # fmt: skip
ROBOT_CODES: dict[State, int] = {
    "off": 0, "idle": 1, "execute": 2, "stopped": 3, "setup": 4, "aborted": 9,
}  # fmt: skip


def _opcua_k(machine: SimMachine, panel: Panel, time: Micros) -> list[Write]:
    """English names, numeric states, 16-bit counters, degrees Fahrenheit."""
    values: dict[str, tuple[str, float | int | str]] = {
        "state": ("MachineStatus", K_CODES[panel.state]),
        "good": ("GoodParts", panel.good % 65_536),
        "scrap": ("ScrapParts", panel.scrap % 65_536),
        "melt_temp": ("MeltTemp", round(panel.melt_temp * 1.8 + 32, 2)),
        "cycle_s": ("CycleTime", panel.cycle_s),
        "order": ("Job", panel.order),
    }
    return _of(panel, time, {k: (f"ns=2;s={machine.root}.{n}", v) for k, (n, v) in values.items()})


def _opcua_a(machine: SimMachine, panel: Panel, time: Micros) -> list[Write]:
    """German names and words, one counter for all parts, degrees Celsius, milliseconds."""
    values: dict[str, tuple[str, float | int | str]] = {
        "state": ("Betriebszustand", A_WORDS[panel.state]),
        "good": ("TeileGesamt", panel.good + panel.scrap),
        "scrap": ("Ausschuss", panel.scrap),
        "melt_temp": ("Massetemperatur", panel.melt_temp),
        "cycle_s": ("Zykluszeit", round(panel.cycle_s * 1000)),
        "order": ("Auftrag", panel.order),
    }
    if "scrap" in panel.changed:
        panel.changed.add("good")
    root = f"ns=2;s=Maschine.{machine.root}"
    return _of(panel, time, {k: (f"{root}.{n}", v) for k, (n, v) in values.items()})


def _modbus(_: SimMachine, panel: Panel, time: Micros) -> list[Write]:
    """Two counters and a temperature in tenths; no state at all."""
    if "scrap" in panel.changed:
        panel.changed.add("good")
    return _of(panel, time, {
        "good": ("holding:0:uint16", (panel.good + panel.scrap) % 65_536),
        "scrap": ("holding:1:uint16", panel.scrap % 65_536),
        "melt_temp": ("input:0:int16", round(panel.melt_temp * 10)),
    })  # fmt: skip


def _mtconnect(machine: SimMachine, panel: Panel, time: Micros) -> list[Write]:
    low = machine.root.lower()
    return _of(panel, time, {
        "state": (f"{low}_exec", EXECUTION[panel.state]),
        "good": (f"{low}_good", panel.good),
        "scrap": (f"{low}_bad", panel.scrap),
        "melt_temp": (f"{low}_load", round(panel.melt_temp - 180, 2)),
        "order": (f"{low}_order", panel.order),
    })  # fmt: skip


def cell_message(panel: Panel, time: Micros) -> str:
    counts = {"ok": panel.good, "nok": panel.scrap}
    state = CELL_WORDS[panel.state]
    return json.dumps({"ts": iso(time), "state": state, "counters": counts, "order": panel.order})


def robot_message(panel: Panel, time: Micros) -> str:
    body = {"st": ROBOT_CODES[panel.state], "n": panel.good + panel.scrap, "bad": panel.scrap}
    return json.dumps({"t": time // 1000, "robot": body})


def _mqtt_cell(machine: SimMachine, panel: Panel, time: Micros) -> list[Write]:
    return [Write(time, f"graz/cell-{machine.root}/status", cell_message(panel, time))]


def _mqtt_robot(machine: SimMachine, panel: Panel, time: Micros) -> list[Write]:
    return [Write(time, f"robo/{machine.root}/telemetry", robot_message(panel, time))]


def _of(
    panel: Panel, time: Micros, values: dict[str, tuple[str, float | int | str]]
) -> list[Write]:
    return [Write(time, *values[name]) for name in values if name in panel.changed]


ENCODERS: dict[str, Encoder] = {
    "opcua_k": _opcua_k,
    "opcua_a": _opcua_a,
    "modbus": _modbus,
    "mtconnect": _mtconnect,
    "mqtt_cell": _mqtt_cell,
    "mqtt_robot": _mqtt_robot,
}


def writes(machine: SimMachine, panel: Panel, event: Event) -> list[Write]:
    """What this event changes on the machine's wire; the panel is brought up to date."""
    panel.take(event)
    if not panel.changed:
        return []
    return ENCODERS[machine.wire](machine, panel, event.time)


def snapshot(machine: SimMachine, panel: Panel, time: Micros) -> list[Write]:
    """All values at a time, as a controller shows them when somebody connects."""
    panel.all()
    return ENCODERS[machine.wire](machine, panel, time)


def message_values(machine: SimMachine, write: Write) -> list[Write]:
    """The tags a message carries, in the address form the model uses (`topic#path`)."""
    if not machine.wire.startswith("mqtt"):
        return [write]
    body = json.loads(str(write.value))
    if machine.wire == "mqtt_cell":
        found = {
            "$.state": body["state"], "$.counters.ok": body["counters"]["ok"],
            "$.counters.nok": body["counters"]["nok"],
        }  # fmt: skip
    else:
        robot = body["robot"]
        found = {"$.robot.st": robot["st"], "$.robot.n": robot["n"], "$.robot.bad": robot["bad"]}
    return [Write(write.time, f"{write.tag}#{path}", value) for path, value in found.items()]
