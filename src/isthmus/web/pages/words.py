"""Words of the model in the reader's language: reasons, states."""

from typing import cast

from isthmus.apps.oee.page import Label
from isthmus.model.plant import Plant
from isthmus.web.i18n import Translator


def reason_labels(plant: Plant) -> dict[str, Label]:
    return {reason.reason: cast("Label", reason.label) for reason in plant.reasons}


def state_label(plant: Plant, t: Translator, state: str) -> str:
    """The state as its code system names it; ours for what is no state of the machine."""
    for system in plant.code_systems.values():
        if state in system.values:
            return t.label(cast("Label", system.values[state].label), state.replace("_", " "))
    kind = f"kind.{state}"
    return t(kind) if kind in t.texts else state.replace("_", " ")
