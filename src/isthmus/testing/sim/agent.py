"""The machining centres' MTConnect agent."""

from collections.abc import Sequence

from isthmus.testing.mtconnect_agent import Component, Item, MtconnectAgent
from isthmus.testing.mtconnect_agent import Device as AgentModel
from isthmus.testing.sim.fleet import SimMachine
from isthmus.testing.sim.wire import Write


class AgentDevice:
    """One agent for several machines; its buffer survives a cut cable."""

    def __init__(self, port: int, machines: Sequence[SimMachine]) -> None:
        self._agent = MtconnectAgent([_model(machine) for machine in machines], port=port)

    async def start(self) -> None:
        await self._agent.start()

    async def apply(self, writes: Sequence[Write]) -> None:
        for write in writes:
            self._agent.put(write.tag, write.value, write.time)

    async def stop(self) -> None:
        await self._agent.stop()


def _model(machine: SimMachine) -> AgentModel:
    low = machine.root.lower()
    spindle = Component("Rotary", f"{low}_c", "C", (
        Item(f"{low}_load", "LOAD", "SAMPLE", units="PERCENT"),
    ))  # fmt: skip
    path = Component("Path", f"{low}_path", "path", (
        Item(f"{low}_exec", "EXECUTION"),
        Item(f"{low}_good", "PART_COUNT", sub_type="GOOD"),
        Item(f"{low}_bad", "PART_COUNT", sub_type="BAD"),
        Item(f"{low}_order", "PROCESS_AGGREGATE_ID", sub_type="ORDER_NUMBER"),
    ))  # fmt: skip
    axes = Component("Axes", f"{low}_axes", components=(spindle,))
    controller = Component("Controller", f"{low}_controller", components=(path,))
    available = (Item(f"{low}_avail", "AVAILABILITY"),)
    return AgentModel(low, machine.root, f"acme-{low}", available, (axes, controller))
