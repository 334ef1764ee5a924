"""Single numbers of the pages: a KPI with its target, its past and its coverage."""

from isthmus.apps.oee.kpi import KpiRow
from isthmus.apps.oee.view import Figure
from isthmus.model.plant import Plant


def figure(plant: Plant, name: str, row: KpiRow, before: KpiRow | None = None) -> Figure:
    return Figure(
        name=name,
        value=row[name],
        why_null=row.reasons_null.get(name, ""),
        target=target(plant, row.scope, name),
        before=before[name] if before else None,
        coverage=row["coverage"],
        above_one=name in row.above_one,
    )


def good_parts(row: KpiRow, before: KpiRow | None = None) -> Figure:
    """Good parts against what planned busy time allowed; the past only where it is as long."""
    as_long = before is not None and before.end - before.start == row.end - row.start
    return Figure(
        name="good",
        value=row["good"],
        why_null="" if row["good"] is not None else "no_good_count",
        target=row["target"],
        before=before["good"] if before and as_long else None,
        coverage=row["coverage"],
    )


def target(plant: Plant, scope: str, name: str) -> float | None:
    """The site's target; for the whole company only if all sites have the same."""
    sites = {machine.site for machine in plant.scope(scope)}
    targets = {plant.sites[site].targets.get(name) for site in sites}
    return targets.pop() if len(targets) == 1 else None


def scope_name(plant: Plant, path: str) -> str:
    """What people call this part of the company."""
    parts = path.split("/")
    match parts:
        case [_]:
            return plant.title or path
        case [_, site]:
            return plant.sites[site].title or site
        case [_, site, area]:
            return plant.sites[site].areas.get(area) or area
        case [_, site, area, line]:
            return plant.sites[site].lines.get(f"{area}/{line}") or line
        case _:
            return plant.machines[path].name or parts[-1]


def zone(plant: Plant, scope: str) -> str:
    """Plant time of the scope; the company's where there are several."""
    zones = {machine.timezone for machine in plant.scope(scope)}
    return zones.pop() if len(zones) == 1 else plant.timezone
