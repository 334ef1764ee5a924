"""What standards define exactly: companion specifications by namespace and type, tags by name."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from isthmus.field.connector import Node


@dataclass(frozen=True)
class Defined:
    """A standard says what this node is."""

    standard: str
    quantities: frozenset[str]


_OPC: Final = "http://opcfoundation.org/UA/"

_EUROMAP: Final = MappingProxyType({
    "MachineMode": "machine_mode", "JobStatus": "machine_state", "JobName": "order_number",
    "NominalParts": "order_quantity", "MouldId": "tool_id", "PartId": "material_number",
    "LastCycleTime": "cycle_time",
    "JobPartsCounter": "parts_produced", "JobGoodPartsCounter": "good_parts",
    "JobBadPartsCounter": "scrap_parts", "InjectionTime": "injection_time",
    "DosingTime": "plasticising_time", "CushionStroke": "cushion", "PartID": "material_number",
    "CushionVolume": "cushion_volume", "SpecificPressureMaximum": "injection_pressure",
    "HoldSpecificPressureMaximum": "hold_pressure", "BackPressure": "back_pressure",
    "CavityPressureMaximum": "cavity_pressure", "JobCycleCounter": "cycle_count",
})  # fmt: skip

_BY_NAME: Final[Mapping[str, tuple[str, Mapping[str, str]]]] = MappingProxyType({
    f"{_OPC}PackML/": ("OPC 30050 (PackML)", {
        "UnitModeCurrent": "machine_mode", "CurMachSpeed": "machine_speed",
        "MachDesignSpeed": "design_speed", "EquipmentBlocked": "blocked",
        "EquipmentStarved": "starved", "ProdProcessedCount": "parts_produced",
        "ProdDefectiveCount": "scrap_parts", "StopReason": "stop_reason",
    }),
    f"{_OPC}MachineTool/": ("OPC 40501 (machine tools)", {
        "OperationMode": "machine_mode", "FeedOverride": "feed_override",
        "RapidOverride": "rapid_override", "ChannelMode": "channel_mode",
        "ChannelState": "channel_state", "PlaceNumber": "tool_place", "ToolName": "tool_name",
        "OrderIdentifier": "order_number", "PartIdentifier": "material_number",
        "PartsGood": "good_parts", "PartsCompleted": "parts_produced",
        "PartsPlannedPerRun": "order_quantity", "ToolIdentifier": "tool_number",
    }),
    f"{_OPC}PlasticsRubber/IMM2MES/": ("OPC 40077 (Euromap 77)", _EUROMAP),
    f"{_OPC}PlasticsRubber/GeneralTypes/": ("OPC 40083 (Euromap 83)", _EUROMAP),
    "http://www.euromap.org/euromap77/": ("Euromap 77", _EUROMAP),
    "http://www.euromap.org/euromap83/": ("Euromap 83", _EUROMAP),
})  # fmt: skip
"""Namespace that defines the browse name → standard, and its names."""

_STATE_MACHINES: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        f"nsu={_OPC}Machinery/;i=1002": ("OPC 40001-1 (Machinery)", "machine_state"),
        f"nsu={_OPC}Machinery/;i=1008": ("OPC 40001-1 (Machinery)", "machine_mode"),
        f"nsu={_OPC}PackML/;i=1": ("OPC 30050 (PackML)", "machine_state"),
        f"nsu={_OPC}PackML/;i=2": ("OPC 30050 (PackML)", "machine_state"),
        f"nsu={_OPC}PackML/;i=3": ("OPC 30050 (PackML)", "machine_state"),
        f"nsu={_OPC}MachineTool/;i=1003": ("OPC 40501 (machine tools)", "machine_mode"),
    }
)
"""Type of a state machine → whose `CurrentState` is what."""

_TAGS: Final = (
    ("PackTags (ISA-TR88.00.02)", r"Status[./]StateCurrent", "machine_state"),
    ("PackTags (ISA-TR88.00.02)", r"Status[./]UnitModeCurrent", "machine_mode"),
    ("PackTags (ISA-TR88.00.02)", r"Status[./]CurMachSpeed", "machine_speed"),
    ("PackTags (ISA-TR88.00.02)", r"Status[./]EquipmentInterlock[./]Blocked", "blocked"),
    ("PackTags (ISA-TR88.00.02)", r"Status[./]EquipmentInterlock[./]Starved", "starved"),
    ("PackTags (ISA-TR88.00.02)", r"Admin[./]MachDesignSpeed", "design_speed"),
    ("PackTags (ISA-TR88.00.02)", r"Admin[./]ProdProcessedCount\[0\][./]Count", "parts_produced"),
    ("PackTags (ISA-TR88.00.02)", r"Admin[./]ProdDefectiveCount\[0\][./]Count", "scrap_parts"),
    ("Weihenstephan Standards", r"WS_Cur_State", "machine_state"),
    ("Weihenstephan Standards", r"WS_Cur_Mode", "machine_mode"),
    ("Weihenstephan Standards", r"WS_Cur_Mach_Spd", "machine_speed"),
    ("Weihenstephan Standards", r"WS_Mach_Design_Spd", "design_speed"),
)
_TAG_PATTERNS: Final = tuple(
    (standard, re.compile(rf"(?:^|[./_]){pattern}$"), quantity)
    for standard, pattern, quantity in _TAGS
)

_MTCONNECT: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "EVENT EXECUTION": ("machine_state",),
        "EVENT CONTROLLER_MODE": ("machine_mode",),
        "EVENT PART_COUNT": ("parts_produced",),
        "EVENT PART_COUNT ALL": ("parts_produced",),
        "EVENT PART_COUNT GOOD": ("good_parts",),
        "EVENT PART_COUNT BAD": ("scrap_parts",),
        "EVENT PART_COUNT TARGET": ("order_quantity",),
        "EVENT PROGRAM": ("nc_program",),
        "EVENT PROGRAM ACTIVE": ("nc_program",),
        "EVENT PROGRAM MAIN": ("nc_program",),
        "EVENT TOOL_NUMBER": ("tool_number",),
        "EVENT TOOL_ID": ("tool_number",),
        "EVENT PATH_FEEDRATE_OVERRIDE": ("feed_override",),
        "EVENT PATH_FEEDRATE_OVERRIDE PROGRAMMED": ("feed_override",),
        "SAMPLE PATH_FEEDRATE": ("feed_rate",),
        "SAMPLE PATH_FEEDRATE ACTUAL": ("feed_rate",),
        "SAMPLE ROTARY_VELOCITY ACTUAL": ("spindle_speed",),
        "SAMPLE SPINDLE_SPEED ACTUAL": ("spindle_speed",),
        "EVENT WORK_ORDER_ID": ("order_number",),
        "EVENT PROCESS_OCCURRENCE_ID": ("order_number",),
        "EVENT PART_NUMBER": ("material_number",),
    }
)
"""Category, type and sub-type of a data item."""

_INFRASTRUCTURE: Final = re.compile(
    r"(?:^|[/.])(?:Node Control|Device Control|_System|_Statistics|_InternalTags|bdSeq"
    r"|ServerDiagnostics|ServerCapabilities|ServerStatus)(?:[/.]|$)"
)


def defined(node: Node, parent: Node | None) -> Defined | None:
    """What a standard says about a node, if one does."""
    if node.type in _MTCONNECT:
        return Defined("MTConnect", frozenset(_MTCONNECT[node.type]))
    standard, names = _BY_NAME.get(node.defined_by, ("", {}))
    if node.name in names:
        return Defined(standard, frozenset({names[node.name]}))
    machine = parent.type_definition if parent is not None else ""
    if node.name == "CurrentState" and machine in _STATE_MACHINES:
        standard, quantity = _STATE_MACHINES[machine]
        return Defined(standard, frozenset({quantity}))
    place = node.path if node.path.endswith(node.name) else node.name
    for standard, pattern, quantity in _TAG_PATTERNS:
        if pattern.search(place):
            return Defined(standard, frozenset({quantity}))
    return None


def infrastructure(node: Node) -> bool:
    """It belongs to the server or gateway, not to the machine."""
    return _INFRASTRUCTURE.search(node.path) is not None
