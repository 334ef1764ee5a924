"""A machine like another one, perhaps in another plant: what is the same, what must differ."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from isthmus.model.plant import Machine, Plant
from isthmus.model.suggest import did_you_mean
from isthmus.model.write.edits import AddMachine, AddSource, Edit, EditError
from isthmus.model.write.flow import Raw
from isthmus.model.write.written import written_at

_OWN_NAME: Final = "name"


@dataclass(frozen=True)
class Difference:
    """Something the copy cannot share with its model."""

    key: str
    """As given with `--set`: `source.endpoint`, `params.root`."""
    now: str
    """What the machine that is copied has there."""


class MustDifferError(EditError):
    """The copy would be the same machine twice; says what to give."""

    def __init__(self, missing: list[Difference]) -> None:
        listed = "\n".join(f"  --set {one.key}=…    (now {one.now})" for one in missing)
        super().__init__(f"the copy must differ in:\n{listed}")
        self.missing = tuple(missing)


def cloned(
    texts: Mapping[str, str], plant: Plant, original: str, copy: str, given: Mapping[str, str]
) -> list[Edit]:
    """Edits that make `copy` (site/area/line/machine, with or without the enterprise).

    `given` has what differs: `source.KEY`, `params.NAME`, `name`, `ideal_cycle`, and `source` for
    one that is there. MustDifferError lists what is missing; secrets are copied by name.
    """
    machine = _machine(plant, original)
    site, area, line, name = _place(plant, copy)
    keys = written_at(texts, machine.site, _path_of(machine))
    source = given.get("source") or _source_name(plant, machine, site, name)
    made = {} if source in plant.sources else _source(texts, plant, machine)
    _check_keys(given, made)
    missing = [*_source_differences(plant, machine, made, given)]
    missing += _param_differences(plant, machine, given)
    if missing:
        raise MustDifferError(missing)
    entry = _entry(keys, given) | {"source": source}
    edits: list[Edit] = [AddMachine(site, area, line, name, entry)]
    if made:
        own = {key.removeprefix("source."): value for key, value in given.items()
               if key.startswith("source.")}  # fmt: skip
        edits.insert(0, AddSource(site, source, made | own))
    return edits


def _machine(plant: Plant, path: str) -> Machine:
    for full in (path, f"{plant.enterprise}/{path}"):
        if full in plant.machines:
            return plant.machines[full]
    hint = did_you_mean(path, plant.machines)
    raise EditError(f"no machine `{path}`{'; ' + hint if hint else ''}")


def _path_of(machine: Machine) -> tuple[str, ...]:
    _, _, area, line, name = machine.path.split("/")
    return "areas", area, "lines", line, "machines", name


def _place(plant: Plant, path: str) -> tuple[str, str, str, str]:
    parts = path.removeprefix(f"{plant.enterprise}/").split("/")
    if len(parts) != 4:
        raise EditError(f"`{path}`: say where it stands as site/area/line/machine")
    site, area, line, name = parts
    return site, area, line, name


def _source_name(plant: Plant, machine: Machine, site: str, name: str) -> str:
    """Machines behind one gateway share it within a plant; else each has a source of its own."""
    shared = len(plant.sources[machine.source].machines) > 1
    if shared and site == machine.site:
        return machine.source
    if name in plant.sources:
        said = f"there is a source `{name}` already; `--set source={name}` if the copy reads it"
        raise EditError(said)
    return name


def _source(texts: Mapping[str, str], plant: Plant, machine: Machine) -> dict[str, Any]:
    site = plant.sources[machine.source].site
    return written_at(texts, site, ("sources", machine.source))


def _check_keys(given: Mapping[str, str], made: Mapping[str, Any]) -> None:
    for key in given:
        head, _, rest = key.partition(".")
        known = (head == "params" and rest) or key in {"name", "source", "ideal_cycle"}
        if head == "source" and rest and not made:
            raise EditError(f"`{key}`: the copy reads a source that is there already")
        if not known and not (head == "source" and rest):
            raise EditError(f"`{key}` is nothing a copy can differ in")


def _source_differences(
    plant: Plant, machine: Machine, made: Mapping[str, Any], given: Mapping[str, str]
) -> list[Difference]:
    """What a source cannot do without is what tells it from others: its endpoint, its host."""
    fields = type(plant.sources[machine.source].spec).model_fields
    return [
        Difference(f"source.{key}", _shown(value))
        for key, value in made.items()
        if key in fields and fields[key].is_required() and f"source.{key}" not in given
        if key != "kind"
    ]


def _param_differences(
    plant: Plant, machine: Machine, given: Mapping[str, str]
) -> list[Difference]:
    present = {
        name
        for name, param in plant.machine_types[machine.type].params.items()
        if param.default is None
    }
    return [
        Difference(f"params.{name}", f"as at {machine.path}")
        for name in sorted(present)
        if f"params.{name}" not in given
    ]


def _entry(keys: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, Any]:
    params = dict(keys.get("params", {}))
    params |= {
        key.removeprefix("params."): value
        for key, value in given.items()
        if key.startswith("params.")
    }
    entry = {key: value for key, value in keys.items() if key not in {_OWN_NAME, "params"}}
    own = {key: given[key] for key in ("name", "ideal_cycle") if key in given}
    return own | entry | ({"params": params} if params else {}) | own


def _shown(value: Any) -> str:
    return value.text if isinstance(value, Raw) else str(value)
