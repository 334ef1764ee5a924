"""From blocks of a plant to files for a target: everything is checked, then written at once."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from isthmus.base.problem import Problem, ProblemsError
from isthmus.field.plc.findings import error, warning
from isthmus.field.plc.layout import Layout, Wording, layout
from isthmus.field.plc.mapping_yaml import document
from isthmus.field.plc.names import UnfitNameError, checked, controller_name, twice
from isthmus.field.plc.registry import target as target_of
from isthmus.field.plc.target import VALUES, File, Request, Settings, Target
from isthmus.model.plant import Plant
from isthmus.model.suggest import did_you_mean_or_list


@dataclass(frozen=True)
class Generated:
    """Files, the mapping among them, and what a person should know."""

    files: tuple[File, ...]
    warnings: tuple[Problem, ...]


@dataclass(frozen=True)
class Choice:
    """What a person asked for."""

    blocks: Sequence[str]
    target: str
    settings: Settings
    wording: Wording
    renames: Mapping[str, str]
    """`block.field` → name in the controller."""
    machine_type: str = ""
    """Name of the machine type in the mapping; empty: after target and kind of source."""


def generate(plant: Plant, choice: Choice) -> Generated:
    """The files; ProblemsError with everything that stands against them."""
    target = target_of(choice.target)
    layouts, problems = _layouts(plant, choice)
    problems += _unsuitable(choice, target, layouts)
    names, found = _names(layouts, choice, target)
    problems += found
    if any(each.severity == "error" for each in problems):
        raise ProblemsError(problems)
    request = Request(layouts, choice.settings, target.prefix, names)
    if against := list(target.check(request)):
        raise ProblemsError([*problems, *against])
    files = target.files(request)
    return Generated((*files, _mapping(request, choice, target)), tuple(problems))


def _mapping(request: Request, choice: Choice, target: Target) -> File:
    name = choice.machine_type or f"plc-{choice.target}"
    text = document(request, target.read_back(request), name, target.title)
    return File("mapping.yaml", text)


def _layouts(plant: Plant, choice: Choice) -> tuple[tuple[Layout, ...], list[Problem]]:
    found: list[Layout] = []
    problems: list[Problem] = []
    for name in dict.fromkeys(choice.blocks):
        if name not in plant.blocks:
            hint = did_you_mean_or_list(name, plant.blocks, "blocks")
            said = f"no block `{name}` in this model"
            problems.append(error("P006", f"blocks.{name}", said, hint))
            continue
        try:
            one, warnings = layout(plant.blocks[name], plant.code_systems, choice.wording)
        except ProblemsError as refused:
            problems += refused.problems
        else:
            found.append(one)
            problems += warnings
    return tuple(found), list(dict.fromkeys(problems))


def _unsuitable(choice: Choice, target: Target, layouts: Sequence[Layout]) -> Iterator[Problem]:
    access = choice.settings.access
    if access not in target.accesses:
        said = f"`{choice.target}` has no {access} access; that is Siemens'"
        yield error("P009", "", said, "leave `--access` out")
    for one in layouts:
        yield from _cautions(target, one)
        for member in one.members:
            address = f"blocks.{one.block}.{member.field}"
            if member.length > target.longest_text:
                said = f"up to {member.length} characters, but {target.why_longest}"
                hint = f"set `max_length: {target.longest_text}` or less"
                yield error("P001", address, said, hint)


def _cautions(target: Target, one: Layout) -> Iterator[Problem]:
    for kind, caution in target.cautions.items():
        fields = [f"`{member.field}`" for member in one.members if member.type == kind]
        if fields:
            yield warning("P104", f"blocks.{one.block}", f"{', '.join(fields)}: {caution}")


def _names(
    layouts: Sequence[Layout], choice: Choice, target: Target
) -> tuple[dict[str, str], list[Problem]]:
    """What everything is called in the controller; what is called otherwise is said."""
    names: dict[str, str] = {}
    problems = list(_renames_of_nothing(layouts, choice.renames))
    for key, address, wanted, given in _wanted(layouts, choice, target):
        try:
            name = checked(wanted, target.rules) if given else controller_name(wanted, target.rules)
        except UnfitNameError as unfit:
            could = key in _renamable(layouts)
            hint = f"give another: `--rename {key}=…`" if could else "rename it in the model"
            problems.append(error("P004", address, str(unfit), hint))
            continue
        names[key] = name
        if name != key.rpartition(".")[2] and not given:
            said = (
                f"is called `{name}` in the controller: {target.rules.title} cannot have `{wanted}`"
            )
            problems.append(warning("P101", address, said))
    problems += _names_of_types(layouts, choice, target)
    problems += _same_names(names)
    return names, problems


def _renamable(layouts: Sequence[Layout]) -> frozenset[str]:
    """What `--rename` can name."""
    return frozenset(f"{one.block}.{member.field}" for one in layouts for member in one.members)


def _wanted(
    layouts: Sequence[Layout], choice: Choice, target: Target
) -> Iterator[tuple[str, str, str, bool]]:
    """Key, address, name, and whether a person chose it."""
    for one in layouts:
        yield one.block, f"blocks.{one.block}", one.block, False
        for member in one.members:
            key = f"{one.block}.{member.field}"
            chosen = choice.renames.get(key)
            yield (
                key,
                f"blocks.{key}",
                member.field if chosen is None else chosen,
                chosen is not None,
            )
    if target.named_values:
        values = {
            f"{VALUES}{member.enumeration}.{value.name}": (member.enumeration, value.name)
            for one in layouts
            for member in one.members
            for value in member.values
        }
        for key, (system, name) in values.items():
            yield key, f"code_systems.{system}.{name}", name, False


def _renames_of_nothing(layouts: Sequence[Layout], renames: Mapping[str, str]) -> Iterator[Problem]:
    known = _renamable(layouts)
    for key in renames:
        if key not in known:
            hint = did_you_mean_or_list(key, known, "fields")
            yield error("P008", "", f"`--rename {key}=…`: no such field is being written", hint)


def _names_of_types(layouts: Sequence[Layout], choice: Choice, target: Target) -> Iterator[Problem]:
    instance = choice.settings.instance
    try:
        checked(instance, target.rules)
        checked(f"{target.prefix}isthmus_{instance}", target.rules)
    except UnfitNameError as unfit:
        yield error("P004", "", str(unfit), "give another `--name`")
    for one in layouts:
        try:
            checked(f"{target.prefix}{one.block}", target.rules)
        except UnfitNameError as unfit:
            yield error("P004", f"blocks.{one.block}", str(unfit), "rename it in the model")


def _same_names(names: Mapping[str, str]) -> Iterator[Problem]:
    by_home: dict[str, dict[str, str]] = {}
    for key, name in names.items():
        by_home.setdefault(key.rpartition(".")[0], {})[key] = name
    for home, within in by_home.items():
        for things in twice(within).values():
            both = " and ".join(f"`{thing.rpartition('.')[2]}`" for thing in things)
            said = f"{both} would both be called `{within[things[0]]}` in the controller"
            yield error("P005", home.removeprefix(VALUES), said, "give one of them another name")
