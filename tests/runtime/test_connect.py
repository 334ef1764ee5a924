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


def test_a_folder_that_is_written_otherwise_than_the_parameter_is_the_machine_s() -> None:
    nodes = agent("MC1", "MC2")
    asked = wanted(ACME, load_plant(ACME), "machining-agent", machine="mc-2", nodes=nodes)
    assert asked.under == "MC2"
    tags = {one.tag for found in propose(asked, nodes) for one in found.proposals}
    assert tags == {"mc2_all"}  # not what another machine has, nor what feeds a field already
