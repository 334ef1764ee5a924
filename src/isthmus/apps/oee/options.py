"""What a site set for its use cases, or the default."""

from isthmus.apps.oee.app import DowntimeSpec, OeeSpec, TimeModelName
from isthmus.model.plant import Machine, Plant


def minor_stop(plant: Plant, machine: Machine) -> float:
    """Seconds up to which a stop needs no reason: the site's, else the machine type's."""
    for name in ("downtime", "oee"):
        spec = plant.sites[machine.site].use_cases.get(name)
        if isinstance(spec, DowntimeSpec) and spec.minor_stop is not None:
            return spec.minor_stop
    return machine.minor_stop


def time_model(plant: Plant, site: str) -> TimeModelName:
    spec = plant.sites[site].use_cases.get("oee")
    return spec.time_model if isinstance(spec, OeeSpec) else "iso22400"
