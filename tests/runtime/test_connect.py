"""What is proposed for one machine of several behind a source."""

from pathlib import Path

from isthmus.field.connector import Node
from isthmus.runtime.connect import propose, wanted
from isthmus.runtime.open import load_plant

ACME = Path(__file__).parents[2] / "examples" / "acme"


def agent(*devices: str) -> list[Node]:
    """What an MTConnect agent shows of its devices."""
    return [
        node
        for name in devices
        for node in (
            Node(f"{name}/", name, name, has_children=True),
            Node(f"{name.lower()}_good", f"{name.lower()}_good", name, "EVENT PART_COUNT GOOD"),
            Node(f"{name.lower()}_all", f"{name.lower()}_all", name, "EVENT PART_COUNT ALL"),
        )
    ]


def gateway(*machines: str) -> list[Node]:
    """One folder with the variables of all machines, and one of the gateway."""
    tags = [f"Maschine.{name}.{what}" for name in machines for what in ("Meldung", "Auftragsmenge")]
    return [Node(f"ns=2;s={tag}", tag, f"/Alle/{tag}", "String") for tag in [*tags, "Meldung"]]


def test_in_a_folder_that_machines_share_the_others_are_left_out() -> None:
    nodes = gateway("IM04", "IM05", "IM06")
    plant = load_plant(ACME)
    asked = wanted(ACME, plant, "line-2-gateway", machine="im-05", blocks=["alarm"], nodes=nodes)
    (text,) = (found for found in propose(asked, nodes) if found.field == "message")
    assert [one.tag for one in text.proposals] == [
        "ns=2;s=Maschine.IM05.Meldung", "ns=2;s=Meldung",
    ]  # fmt: skip


def test_a_folder_that_is_written_otherwise_than_the_parameter_is_the_machine_s() -> None:
    nodes = agent("MC1", "MC2")
    asked = wanted(ACME, load_plant(ACME), "machining-agent", machine="mc-2", nodes=nodes)
    assert asked.under == "MC2"
    tags = {one.tag for found in propose(asked, nodes) for one in found.proposals}
    assert tags == {"mc2_all"}  # not what another machine has, nor what feeds a field already
