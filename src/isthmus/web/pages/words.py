"""Words of the model in the reader's language, and what a panel says when it is empty."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from isthmus.apps.oee.page import Label
from isthmus.model.plant import Plant
from isthmus.web.i18n import Translator
from isthmus.web.page import Ask
from isthmus.web.timeline import KINDS


def reason_labels(plant: Plant) -> dict[str, Label]:
    return {reason.reason: cast("Label", reason.label) for reason in plant.reasons}


def state_label(plant: Plant, t: Translator, state: str) -> str:
    """The state as its code system names it; ours for what is no state of the machine."""
    for system in plant.code_systems.values():
        if state in system.values:
            return t.label(cast("Label", system.values[state].label), state.replace("_", " "))
    kind = f"kind.{state}"
    return t(kind) if kind in t.texts else state.replace("_", " ")


@dataclass(frozen=True)
class Empty:
    """Why there is nothing to show, and where there is something; all empty if there is."""

    state: str = ""
    text: str = ""
    link: str = ""
    link_text: str = ""


_LAST = """
    select epoch_us(max(time)) as last from machine_state
    where machine = $scope or starts_with(machine, $scope || '/')
"""


def why_empty(ask: Ask) -> Empty:
    """Never a value, or none in this range: then the day of the last one is a click away."""
    last = ask.platform.lake.query(_LAST, {"scope": ask.scope.path}).to_pylist()[0]["last"]
    if last is None:
        return Empty("never")
    day = ask.f.local(last).date().isoformat()
    return Empty(
        "range",
        ask.t("state.range.last", moment=ask.f.moment(last)),
        ask.view.url(range=day, sel=""),
        ask.t("state.range.jump"),
    )


def live_words(plant: Plant, t: Translator) -> Mapping[str, str]:
    """What the browser needs to say live values: kinds, states, reasons."""
    states = {
        name: state_label(plant, t, name)
        for system in plant.code_systems.values()
        for name in system.values
    }
    reasons = {slug: t.label(label, slug) for slug, label in reason_labels(plant).items()}
    kinds = {kind: t(f"kind.{kind}") for kind in KINDS}
    return kinds | states | reasons
