"""Stage 2: what must hold between declarations. One file per subject; one line here per rule."""

from collections.abc import Callable, Iterator
from typing import Final

from isthmus.base.problem import Problem
from isthmus.model.declaration import Declaration
from isthmus.model.plant import Kinds
from isthmus.model.rules import (
    blocks,
    calendars,
    codes,
    company,
    connections,
    derived,
    machines,
    mappings,
    names,
    tags,
    units,
    use_cases,
)

Rule = Callable[[Declaration, Kinds], Iterator[Problem]]

RULES: Final[tuple[Rule, ...]] = (
    names.reserved_names,
    blocks.field_settings,
    blocks.state_categories,
    units.block_units,
    units.tag_units,
    units.material_units,
    mappings.targets,
    mappings.counters,
    mappings.pulse_rules,
    mappings.empty_blocks,
    derived.expressions,
    derived.field_types,
    codes.mapped_codes,
    machines.references,
    machines.parameters,
    tags.declared_parameters,
    tags.addresses,
    connections.unused_sources,
    connections.shared_endpoints,
    connections.shared_budgets,
    connections.plain_passwords,
    calendars.shifts,
    calendars.breaks,
    calendars.dates,
    calendars.holiday_regions,
    calendars.sites_without,
    use_cases.needs,
    company.reasons,
    company.targets,
    company.durations,
    company.type_names,
    company.no_machine,
)


def broken_rules(declaration: Declaration, kinds: Kinds) -> Iterator[Problem]:
    for rule in RULES:
        yield from rule(declaration, kinds)
