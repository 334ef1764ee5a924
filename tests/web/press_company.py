"""A small company with one press at a real OPC UA server: what the Connect pages are tried on."""

from pathlib import Path
from typing import Any

from asyncua import ua

from isthmus.testing.tcp_proxy import LOOPBACK

Kind = ua.VariantType

PRESS = {
    "ns=2;s=IM07.Maschinenstatus": ua.Variant(3, Kind.Int32),
    "ns=2;s=IM07.Gutteile": ua.Variant(65_530, Kind.UInt16),
    "ns=2;s=IM07.Gutteile_Schicht": ua.Variant(12, Kind.UInt16),
    "ns=2;s=IM07.Ausschuss": ua.Variant(7, Kind.UInt16),
    "ns=2;s=IM07.Zykluszeit": ua.Variant(28.1, Kind.Double),
    "ns=2;s=IM07.Zykluszeit_Soll": ua.Variant(28.0, Kind.Double),
    "ns=2;s=IM07.Oeltemperatur": ua.Variant(45.0, Kind.Double),
}
CYCLE = "ns=2;s=IM07.Zykluszeit"
MACHINE = "acme/hamburg/hall/line-1/im-07"

COMPANY = "enterprise: acme\nname: Acme\ntimezone: Europe/Berlin\n"
TYPE = """\
# Presses of the old hall.
machine_type: press
kind: opcua
blocks: [machine_state, part_count]
params:
  root: {}
map:
  machine_state.state: {tag: "ns=2;s={root}.Maschinenstatus", codes: {3: execute}}   # 3 is all
"""
SITE = """\
site: hamburg
name: Hamburg
areas:
  hall:
    lines:
      line-1:
        machines:
          im-07: {type: press, source: im07, params: {root: IM07}}
sources:
  im07: {kind: opcua, endpoint: "opc.tcp://ADDRESS", interval: 100 ms}
"""


def written(folder: Path, port: int) -> Path:
    folder.mkdir()
    site = SITE.replace("ADDRESS", f"{LOOPBACK}:{port}")
    for name, text in (("company", COMPANY), ("press", TYPE), ("hamburg", site)):
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder


def texts(folder: Path) -> dict[str, str]:
    return {file.name: file.read_text(encoding="utf-8") for file in sorted(folder.iterdir())}


FOLDERS, TAGS = 50, 200


async def fill(server: Any) -> None:
    """Ten thousand more variables, in folders."""
    for folder in range(FOLDERS):
        above = await server.nodes.objects.add_folder(2, f"Area{folder}")
        for tag in range(TAGS):
            name = f"Area{folder}.Tag{tag}"
            await above.add_variable(ua.NodeId(name, ua.Int16(2)), f"Tag{tag}", 0)
