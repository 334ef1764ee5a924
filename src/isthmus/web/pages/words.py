"""Words of the model in the reader's language: reasons, states."""

from isthmus.apps.oee.page import Label
from isthmus.model.plant import Plant
from isthmus.web.i18n import Translator


def reason_labels(plant: Plant) -> dict[str, Label]:
    return {reason.reason: dict(reason.label) for reason in plant.reasons}


def state_label(plant: Plant, t: Translator, state: str | None) -> str:
    """The state as its code system names it."""
    if state is None:
        return t("kind.offline")
    for system in plant.code_systems.values():
        if state in system.values:
            return t.label(dict(system.values[state].label), state.replace("_", " "))
    return state.replace("_", " ")
