"""Stage 1: documents become a `Declaration`, or problems of shape."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, TypeVar

from pydantic import BaseModel, TypeAdapter

from isthmus.base.problem import Problem
from isthmus.model.catalogue import problem
from isthmus.model.declaration import Declaration, Declared, DeclaredMachine
from isthmus.model.document import Document, MappingNode, Node, Path, Scalar
from isthmus.model.plant import Kinds
from isthmus.model.spec.block import Block, CodeSystem
from isthmus.model.spec.machine_type import MachineType
from isthmus.model.spec.site import (
    Company,
    Material,
    Reason,
    Site,
    SourceSpec,
    SystemSpec,
    UseCaseSpec,
)
from isthmus.model.spec.words import Guarded
from isthmus.model.suggest import did_you_mean_or_list
from isthmus.model.wording import checked, validated

SpecT = TypeVar("SpecT", bound=BaseModel)
GuardedT = TypeVar("GuardedT", bound=Guarded)
ItemT = TypeVar("ItemT")

DOCUMENT_KINDS: Final[Mapping[str, type[BaseModel]]] = MappingProxyType(
    {
        "enterprise": Company,
        "code_system": CodeSystem,
        "block": Block,
        "machine_type": MachineType,
        "site": Site,
        "material": Material,
        "reason": Reason,
    }
)
"""First key of a document → what it must look like."""

LISTS: Final = MappingProxyType({"materials": "material", "reasons": "reason"})
"""First key of a document that holds many → the kind of each."""

_LIST: Final = TypeAdapter(list[dict[str, Any]])
_KIND: Final = TypeAdapter(str)


def declare(
    documents: Sequence[Document], library: Sequence[Document], kinds: Kinds, *, complete: bool
) -> tuple[Declaration | None, list[Problem]]:
    """None where a problem leaves something undeclared: rules would only echo it.

    `complete`: no file was left out, so that what is not here is nowhere.
    """
    desk = _Desk(kinds)
    for document in documents:
        desk.take(document)
    desk.inside()
    if complete and not desk.documents["enterprise"]:
        desk.problems.append(_no_enterprise(documents))
    if not desk.documents["enterprise"] or desk.problems:
        return None, desk.problems
    return desk.declaration(library), desk.problems


def _no_enterprise(documents: Sequence[Document]) -> Problem:
    said = "no document declares the company" if documents else "this folder declares nothing"
    hint = "begin with a file company.yaml that says `enterprise: your-company`"
    return problem("M015", "", said, hint=hint)


@dataclass
class _Desk:
    """Where declarations are sorted by kind; later ones of the same name are problems."""

    kinds: Kinds
    problems: list[Problem] = field(default_factory=list)
    documents: dict[str, dict[str, Declared[Any]]] = field(
        default_factory=lambda: {kind: {} for kind in DOCUMENT_KINDS}
    )
    sources: dict[str, Declared[SourceSpec]] = field(default_factory=dict)
    systems: dict[str, Declared[SystemSpec]] = field(default_factory=dict)
    use_cases: list[Declared[UseCaseSpec]] = field(default_factory=list)
    machines: dict[tuple[str, str], DeclaredMachine] = field(default_factory=dict)

    def take(self, document: Document) -> None:
        kind = document.kind
        if kind in DOCUMENT_KINDS:
            self._one(kind, document, ())
        elif kind in LISTS:
            self._many(kind, document)
        else:
            self._unknown(document)

    def _unknown(self, document: Document) -> None:
        known = [*DOCUMENT_KINDS, *LISTS]
        if not isinstance(document.root, MappingNode):
            self._say(document.problem("M007", (), "a document starts with what it declares"))
            return
        later = next((key for key in document.root.pairs if key in known), None)
        hint = (
            f"write `{later}:` first"
            if later
            else did_you_mean_or_list(document.kind, known, "documents start with")
        )
        said = f"`{document.kind}` is no kind of document"
        self._say(document.problem("M007", (document.kind,), said, hint, at_key=True))

    def _one(self, kind: str, document: Document, path: Path) -> None:
        data = _at(document.data, path)
        if kind in {"enterprise", "site"}:
            self._inside(document)
        spec, found = validated(DOCUMENT_KINDS[kind], document, path, data)
        self.problems += found
        if spec is None:
            if kind == "enterprise":  # it is there, however wrong: not also M015
                self.documents[kind].setdefault("", Declared("", None, document))
            return
        name = getattr(spec, kind)
        declared = Declared(name, spec, document, path)
        first = next(iter(self.documents["enterprise"].values()), None)
        if kind == "enterprise" and first is not None:
            hint = f"the other one is in {first.spot()}"
            said = f"`{name}` is the second enterprise"
            self._say(declared.problem("M016", (kind,), said, hint))
            return
        self._once(self.documents[kind], name, declared, (kind,))

    def _many(self, kind: str, document: Document) -> None:
        for key in document.data:
            if key != kind:
                said = f"unknown key `{key}`"
                hint = f"a document of {kind} has nothing beside `{kind}`; separate it by `---`"
                self._say(document.problem("M011", (key,), said, hint, at_key=True))
        found = checked(_LIST, document, (kind,), document.data[kind])
        self.problems += found
        for position in () if found else range(len(document.data[kind])):
            self._one(LISTS[kind], document, (kind, position))

    def _once(
        self,
        declared: dict[str, Declared[ItemT]],
        name: str,
        new: Declared[ItemT],
        path: Path,
        *,
        at_key: bool = False,
    ) -> None:
        if name in declared:
            said = f"`{name}` is declared twice"
            hint = f"the first one is in {declared[name].spot()}"
            self._say(new.problem("M017", path, said, hint, at_key=at_key))
        else:
            declared[name] = new

    def inside(self) -> None:
        """What companies and sites hold, once all documents are known."""
        for company in self.documents["enterprise"].values():
            for position, reason in enumerate(company.spec.reasons if company.spec else ()):
                path: Path = ("reasons", position)
                declared = Declared(reason.reason, reason, company.document, path)
                self._once(self.documents["reason"], reason.reason, declared, ("reason",))
        for site in self.documents["site"].values():
            self._machines(site)

    def _inside(self, document: Document) -> None:
        """What must be checked by its kind; also where the rest of the document is wrong."""
        homes: tuple[tuple[str, Mapping[str, type[Guarded]], dict[str, Any]], ...] = (
            ("sources", self.kinds.sources, self.sources),
            ("systems", self.kinds.systems, self.systems),
        )
        for home, kinds, declared in homes:
            for name, data in _mappings(document.data.get(home)):
                found = self._connected(document, (home, name), data, kinds)
                if found is not None:
                    self._once(declared, name, found, (), at_key=True)
        if document.kind == "site":
            self._use_cases(document)

    def _connected(
        self,
        document: Document,
        path: tuple[str, str],
        data: dict[str, Any],
        kinds: Mapping[str, type[GuardedT]],
    ) -> Declared[GuardedT] | None:
        """A source or a system: its `kind` says which further keys it has."""
        kind = self._kind(document, path, data, kinds)
        if kind is None:
            return None
        spec, found = validated(kind, document, path, data)
        self.problems += found
        if spec is None:
            return None
        if secret := _secret_fields(document, path):
            spec.guard(secret)
        site = document.name if document.kind == "site" else ""
        return Declared(path[1], spec, document, path, site)

    def _kind(
        self,
        document: Document,
        path: tuple[str, str],
        data: dict[str, Any],
        kinds: Mapping[str, type[GuardedT]],
    ) -> type[GuardedT] | None:
        if "kind" not in data:
            self._say(document.problem("M010", path, "`kind` is missing", at_key=True))
            return None
        at = (*path, "kind")
        if wrong := checked(_KIND, document, at, data["kind"]):
            self.problems += wrong
        elif data["kind"] not in kinds:
            code, what = ("M040", "source") if path[0] == "sources" else ("M041", "system")
            hint = did_you_mean_or_list(data["kind"], kinds, f"kinds of {what}")
            said = f"no kind of {what} is called `{data['kind']}`"
            self._say(document.problem(code, at, said, hint))
        else:
            return kinds[data["kind"]]
        return None

    def _use_cases(self, document: Document) -> None:
        seen: dict[str, Declared[UseCaseSpec]] = {}
        for key, name, data in _named(document.data.get("use_cases")):
            path: Path = ("use_cases", key)
            kind = self.kinds.use_cases.get(name)
            if kind is None:
                hint = did_you_mean_or_list(name, self.kinds.use_cases, "use cases")
                said = f"no use case is called `{name}`"
                self._say(document.problem("M042", path, said, hint, at_key=True))
                continue
            spec, found = validated(kind, document, path, data)
            self.problems += found
            if spec is not None:
                new = Declared(name, spec, document, path, document.name)
                self._once(seen, name, new, (), at_key=True)
        self.use_cases += seen.values()

    def _machines(self, site: Declared[Site]) -> None:
        for area_name, area in site.spec.areas.items():
            for line_name, line in area.lines.items():
                for name, machine in line.machines.items():
                    path = ("areas", area_name, "lines", line_name, "machines", name)
                    new = DeclaredMachine(
                        name, machine, site.document, path, site.name, area_name, line_name
                    )
                    self._stands_once(new)

    def _stands_once(self, new: DeclaredMachine) -> None:
        first = self.machines.setdefault((new.site, new.name), new)
        if first is not new:
            hint = f"it stands in `{first.area}/{first.line}` already, see {first.spot()}"
            said = f"`{new.name}` stands in two lines"
            self._say(new.problem("M018", (), said, hint, at_key=True))

    def _say(self, found: Problem) -> None:
        self.problems.append(found)

    def declaration(self, library: Sequence[Document]) -> Declaration:
        documents = self.documents
        ready = _library(library)
        return Declaration(
            company=next(iter(documents["enterprise"].values())),
            code_systems=ready["code_system"] | documents["code_system"],
            blocks=ready["block"] | documents["block"],
            machine_types=documents["machine_type"],
            materials=documents["material"],
            reasons=tuple(sorted(documents["reason"].values(), key=lambda each: not each.path)),
            sites=documents["site"],
            sources=self.sources,
            systems=self.systems,
            use_cases=tuple(self.use_cases),
            machines=tuple(self.machines.values()),
        )


def _library(documents: Sequence[Document]) -> dict[str, dict[str, Declared[Any]]]:
    """What Isthmus brings; a company that declares the same name overrides it."""
    found: dict[str, dict[str, Declared[Any]]] = {kind: {} for kind in DOCUMENT_KINDS}
    for document in documents:
        spec = DOCUMENT_KINDS[document.kind].model_validate(document.data)
        found[document.kind][document.name] = Declared(document.name, spec, document)
    return found


def _mappings(data: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Entries that are mappings; the others are told by the shape of the document."""
    for name, entry in data.items() if isinstance(data, dict) else ():
        if isinstance(entry, dict):
            yield name, entry


def _named(written: Any) -> Iterator[tuple[str | int, str, dict[str, Any]]]:
    """Key or position, name, options: use cases may be listed, or given with options."""
    for name, options in _mappings(written):
        yield name, name, options
    for position, name in enumerate(written if isinstance(written, list) else ()):
        if isinstance(name, str):
            yield position, name, {}


def _at(data: Any, path: Path) -> Any:
    for part in path:
        data = data[part]
    return data


def _secret_fields(document: Document, path: Path) -> list[str]:
    """Keys below which there is a `!secret`."""
    _, node, _ = document.find(path)
    if not isinstance(node, MappingNode):
        return []
    return [key for key, (_, value) in node.pairs.items() if any(_secrets(value))]


def _secrets(node: Node) -> Iterator[bool]:
    match node:
        case Scalar():
            yield node.secret
        case MappingNode():
            for _, value in node.pairs.values():
                yield from _secrets(value)
        case _:
            for item in node.items:
                yield from _secrets(item)
