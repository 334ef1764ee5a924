"""No sentence of Isthmus that a person may read is forgotten in German."""

import ast
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel, ValidationError
from tests.docs.left_english import english_in
from tests.model.fakes import ENV, KINDS

import isthmus
from isthmus.base.clock import HOUR, parse_time
from isthmus.base.german import LONGEST, LONGEST_SENTENCE, TABLES, german, said
from isthmus.base.problem import Problem
from isthmus.field.quarantine import Raw, Why, quarantined
from isthmus.field.registry import SOURCE_KINDS
from isthmus.model.catalogue import CATALOGUE
from isthmus.model.findings import EXPECTED_TYPES
from isthmus.model.load import read
from isthmus.model.plant import FieldMap
from isthmus.model.report import report
from isthmus.model.spec.block import FieldType
from isthmus.model.spec.machine_type import Counter
from isthmus.model.wording import _FORMS, _LIMITS
from isthmus.web.api import connect, drafts, revisions, sql, stops

SOURCE = Path(isthmus.__file__).parent
GOLDEN = Path(__file__).parents[1] / "model" / "golden"
VALUE = "x1"
NOW = parse_time("2026-11-16T09:00:00Z")
# What the code says -------------------------------------------------------------------------------

MODEL = sorted(
    file
    for file in (SOURCE / "model").rglob("*.py")
    # The reference, the catalogue and the plan have tables or pages of their own.
    if file.name not in {"catalogue.py", "reference.py", "publish.py", "plan_text.py"}
    and file.name != "masking.py"
)
FRAGMENTS = {
    " and x1 more", "must be ", "has too ", "isthmus library x1", "machine_type: x1", "as at x1",
    *(words for _, words in _LIMITS.values()),
}  # fmt: skip
"""Parts of sentences, that are read with the rest of them below; and what is no sentence."""


def sentences(file: Path) -> Iterator[str]:
    """Every text of a module that has two words or more, with a value in each gap."""
    tree = ast.parse(file.read_text("utf-8"))
    inside = {id(part) for part in _parts(tree)} | {id(one) for one in _docstrings(tree)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant | ast.JoinedStr | ast.BinOp) and id(node) not in inside:
            text = _text(node)
            if not re.search(r"\(\?|\[A-Z|\\[bsZ]", text) and _words(text) > 1:
                yield text


def _words(text: str) -> int:
    return len(re.findall(r"[A-Za-z]{2,}", re.sub(r"`[^`]*`|x1", "", text)))


def _parts(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr | ast.BinOp):
            yield from (one for one in ast.walk(node) if one is not node)


def _docstrings(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield node.value


def _text(node: ast.AST) -> str:
    match node:
        case ast.Constant(value=str() as text):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(_text(one) if isinstance(one, ast.Constant) else VALUE for one in parts)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return (_text(left) or VALUE) + (_text(right) or VALUE)
        case _:
            return ""


@pytest.mark.parametrize("file", MODEL, ids=lambda file: file.stem)
def test_what_a_module_of_the_model_says_has_german(file: Path) -> None:
    left = {one: german(one) for one in sentences(file) if one not in FRAGMENTS}
    assert {english: other for english, other in left.items() if english_in(other)} == {}


DECLARED = sorted(
    SOURCE / "field" / file
    for pattern in (
        "connectors/*/spec.py", "connectors/*/address.py", "connectors/mtconnect/asset_tags.py",
        "connectors/sql/query.py", "connectors/sparkplug/topics.py", "mtconnect/values.py",
        "mqtt/tls.py", "json_path.py", "json_samples.py", "tables/[ast]*.py",
    )
    for file in (SOURCE / "field").glob(pattern)
)  # fmt: skip


@pytest.mark.parametrize("file", DECLARED, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_what_is_said_of_keys_and_addresses_has_german(file: Path) -> None:
    left = {one: german(one) for one in sentences(file) if one not in FRAGMENTS}
    assert {english: other for english, other in left.items() if english_in(other)} == {}


SAID = sorted({
    *(
        SOURCE / "runtime" / f"{name}.py"
        for name in (
            "background", "browse", "changing", "connect", "devices", "drafts", "filled",
            "impaired", "model_writer", "probe", "revising", "server_ways", "source_events",
            "sources", "waiting", "workbench",
        )
    ),
    *(
        file
        for file in (SOURCE / "field" / "connectors").rglob("*.py")
        # What their parsers say of a broken message goes to the log, or to quarantine as it came;
        # what a webhook answers its sender is for a program.
        if file.name not in {"wire.py", "frames.py", "messages.py", "values.py", "structures.py"}
        and file.name not in {"times.py", "layout.py", "receiver.py", "reception.py"}
    ),
})  # fmt: skip
NO_SENTENCE = {
    # For the log, for a file beside the data, or a mistake of ours.
    "a fault while %s", "a change of the model cannot be undone, it could not be kept: %s",
    "listening to `x1`", "source `%s`: posts refused since it was opened: %s",
    ("Correct what is declared of this source and move the file back: only the rows that could "
    "not be taken are read again."),
    "x1, x1: x1 rows could not be taken, x1 were.", "Nothing of x1 was taken: x1x1.",
    # What drivers say, to be recognised.
    "no such table", "no such column", "file is not a database", "does not exist",
    "no pg_hba.conf", "unable to open database", "operator does not exist", "is encrypted",
    # Put together from parts: see the test of whole sentences.
    "ahead of", "connection is", "connections are", "the trust list",
    "`x1` of x1 starts anew at a lower numberx1",
    ("`{key}` would stand in the model for all to read: write ${{NAME}} and set the environment "
    "variable NAME for the platform"),
}  # fmt: skip


@pytest.mark.parametrize("file", SAID, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_what_is_said_of_a_source_has_german(file: Path) -> None:
    found = {one for one in sentences(file) if not re.search(r"before (it is )?open", one)}
    left = {one: german(one) for one in found - NO_SENTENCE if "x1 x1 in usex1" not in one}
    assert {english: other for english, other in left.items() if english_in(other)} == {}


WHOLE = """
source `im07`: no answer from 10.1.4.7:502 within 3 s ([Errno 111] Connect call failed ('h', 1)). \
Is it on and on this network? `isthmus probe im07` tries now.
source `im07`: no answer from opc.tcp://10.1.4.7:4840 (time is up). \
Is it on and on this network? `isthmus probe im07` tries now.
source `im07`: the certificate of opc.tcp://h:4840 is not trusted: CN=im07 (3A F1). \
Does the machine show the same fingerprint? Then type `isthmus certs trust im07`; \
`isthmus probe im07` tries again
source `im07`: the certificate of opc.tcp://i:4841 is not trusted: CN=im07 (3A F1). \
Does the machine show the same fingerprint? Then type `isthmus certs trust opc.tcp://i:4841`; \
`isthmus probe im07` tries again
source `im07`: the certificate of opc.tcp://h:4840 expired on 2026-01-31 (CN=im07). \
Its administrator must renew it; then `isthmus certs trust im07`. \
Is the clock of this computer right? `isthmus probe im07` tries again
source `im07`: opc.tcp://h:4840 does not offer `sign` Basic256Sha256, only nothing we know. \
Write what it offers, or have it switched on there
source `plc`: the budget of 10.1.4.7:502 allows 1, and its connection is in use by intake. \
What comes is on the page of its machine. To look around, wait until another look ends, \
allow one more (`budget: {connections: 2}`), or set `enabled: false` meanwhile
the device's clock is 75 s ahead of ours: its values are written at its time. \
Set it right, or write `clock: corrected` (or `ours`) for this source.
the gap of 12 s is filled: 40 values from its history; \
the server keeps only 1 values of 3 of 9 nodes between two publications, not 10: \
more changes than that are lost. A shorter `interval` helps
source `db`: `id` of cycles starts anew at a lower number; the last row that was read is of 05:00Z
the platform was not running
the source is not in the model any more; before: the platform was not running
`password` would stand in the model for all to read: \
write ${NAME} and set the environment variable NAME for the platform
"""


@pytest.mark.parametrize("english", WHOLE.strip().splitlines(), ids=lambda text: text[:40])
def test_whole_messages_as_they_reach_a_person(english: str) -> None:
    other = german(english)
    assert english_in(other) == []
    assert re.findall(r"`[^`]*`", other) == re.findall(r"`[^`]*`", english)


def fields() -> Iterator[FieldMap]:
    """Of every type, scaled and not, with what a reason may name."""
    for number, type_ in enumerate(get_args(FieldType)):
        yield FieldMap(
            "tag", "acme/hamburg/im-07", "cycle", "melt_temp", type_, min=-40.0, max=400.5,
            max_length=80, scale=1.0 + number % 2, offset=-0.5 * (number % 2),
            codes=(("1", "idle"), ("2", "running")),
            counter=Counter(bits=16) if type_ == "counter" else None,
        )  # fmt: skip


@pytest.mark.parametrize(
    "why", [one for one in Why if one is not Why.FINE], ids=lambda one: one.code
)
def test_why_a_sample_was_put_aside_is_said_in_german_with_its_values(why: Why) -> None:
    for field in fields():
        for number, text in ((-159.25, None), (7.0, None), (None, "not a number at all")):
            english = quarantined(
                "im07", Raw("tag", NOW + HOUR, NOW, number, text), field, why
            ).reason
            other = german(english)
            assert other != english, english
            assert english_in(other.replace("not a number at all", "")) == [], other
            assert re.findall(r"-?[0-9.]+", other) == re.findall(r"-?[0-9.]+", english)


def test_every_key_of_a_source_is_explained_in_german() -> None:
    docs = {doc for kind in SOURCE_KINDS.values() for doc in explained(kind, set())}
    assert len(docs) > 130
    assert {doc for doc in docs if english_in(german(doc))} == set()


def explained(spec: type[BaseModel], seen: set[type]) -> Iterator[str]:
    """What the form says of the keys of a spec, and of those inside them."""
    seen.add(spec)
    for field in spec.model_fields.values():
        if field.description:
            yield " ".join(field.description.split())
        for inner in _specs(field.annotation):
            if inner not in seen:
                yield from explained(inner, seen)


def _specs(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _specs(part)


def test_the_scan_sees_what_is_said() -> None:
    found = set(sentences(SOURCE / "model" / "rules" / "machines.py"))
    assert "no source `x1` in this model" in found
    assert "`x1` is of kind x1, but the tags of `x1` are written for x1" in found
    assert len({one for file in MODEL for one in sentences(file)}) > 150


def test_limits_and_forms_are_said_in_german() -> None:
    parts = [f"`5` {words} 3" for _, words in _LIMITS.values()]
    parts += [f"`x y` must be {form}" for form in _FORMS.values()]
    parts += [f"expected {wanted}, found nothing" for wanted in EXPECTED_TYPES.values()]
    assert {one: german(one) for one in parts if english_in(german(one))} == {}


# What a person reads ------------------------------------------------------------------------------


def problems() -> dict[str, list[Problem]]:
    found: dict[str, list[Problem]] = {code: [] for code in CATALOGUE}
    for file in GOLDEN.rglob("expected.txt"):
        for one in read(file.parent, KINDS, ENV).problems:
            found[one.code].append(one)
    return found


def test_every_code_is_said_in_german_with_its_values() -> None:
    for code, found in problems().items():
        assert found, code
        for one in found:
            if one.code == "M038":
                continue  # what is wrong with an address the connector says, see below
            for english in filter(None, (one.message, one.hint)):
                other = german(english)
                assert other != english or not english_in(english), english
                assert not english_in(other), other
                names = re.findall(r"`([\w./-]+)`", one.message)
                assert all(name in german(one.message) for name in names)


def test_the_whole_report_is_german_and_programs_may_have_it_so() -> None:
    found = read(GOLDEN / "M020_unknown_source", KINDS, ENV).problems
    text = report(found, "text", "de")
    assert text.startswith("Fehler[M020] sites.hamburg.machines.im-07.source: keine Quelle `im7`")
    assert "Hinweis: meinten Sie `im07`?" in text
    assert text.endswith("1 Fehler, 1 Warnung")
    assert '"message": "keine Quelle `im7` in diesem Modell"' in report(found, "json", "de")


# How it is found ----------------------------------------------------------------------------------


def test_what_no_table_knows_stays_as_it_is() -> None:
    assert german("Bearing 4 is hot") == "Bearing 4 is hot"
    assert said("no source `a` in this model", "en") == "no source `a` in this model"


def test_sentences_that_stand_together_are_found_one_by_one() -> None:
    assert german("no secret `a`; Bearing is hot; split it") == (
        "kein Geheimnis `a`; Bearing is hot; teilen Sie sie auf"
    )


def test_a_value_is_never_translated_in_back_ticks() -> None:
    assert german("no source `a text` in this model") == "keine Quelle `a text` in diesem Modell"


@pytest.mark.parametrize("part", ["a: ", "x; ", "a (b) ", "no, or `", "is it? ", "1 instead of "])
def test_what_a_device_says_at_length_does_not_hold_up_a_page(part: str) -> None:
    began = time.perf_counter()
    assert german(part * (LONGEST // len(part) - 1) + "#") != ""
    assert german(part * (LONGEST_SENTENCE // len(part) - 1) + "#") != ""
    assert german(part * LONGEST) == part * LONGEST
    assert time.perf_counter() - began < 10


def test_both_sides_have_the_same_gaps() -> None:
    for table in TABLES:
        for english, other in table.items():
            gaps = set(re.findall(r"<(\w+)[#!*]?>", english))
            used = set(re.findall(r"<(\w+)[#!*]?>", other))
            assert used <= gaps, english


# What the REST API refuses ------------------------------------------------------------------------

REST = sorted([
    *(SOURCE / "web" / "api").glob("*.py"),
    *(SOURCE / file for file in ("web/gate.py", "data/restricted.py", "apps/oee/reasons.py")),
    SOURCE / "apps" / "oee" / "kpi.py",
])  # fmt: skip
SPOKEN = {
    "ApiError", "HTTPException", "answered", "said", "RefusedError", "ReasonError", "GroupingError",
}  # fmt: skip
KEPT = {"hint", "message", "said_"}
NO_WORD = re.compile(r"[a-z]+(_[a-z]+)+")
"""A code: the same in all languages."""


def refusals(file: Path) -> Iterator[str]:
    """Texts that a module of the API hands to its errors, with a value in each gap."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        match node:
            case ast.Call(func=ast.Name(id=name), args=args) if name in SPOKEN:
                yield from (text for one in args for text in _all_texts(one))
            case ast.Assign(targets=[target], value=value) if KEPT & set(_names(target)):
                yield from _all_texts(value)
            case ast.AnnAssign(
                target=ast.Name(id="_HINTS" | "_EXAMPLE"), value=ast.expr() as value
            ):
                yield from _all_texts(value)
            case ast.Return(value=ast.IfExp(body=value)):
                yield from _all_texts(value)


def _names(target: ast.AST) -> Iterator[str]:
    yield from (one.id for one in ast.walk(target) if isinstance(one, ast.Name))


def _all_texts(node: ast.AST) -> Iterator[str]:
    inside = {id(part) for part in _parts(node)}
    for one in ast.walk(node):
        text = _text(one)
        if id(one) not in inside and _words(text) > 1 and not NO_WORD.fullmatch(text):
            yield text


@pytest.mark.parametrize("file", REST, ids=lambda file: file.stem)
def test_what_the_api_refuses_has_german(file: Path) -> None:
    said_of_it = {one: german(one) for one in refusals(file)}
    left = {one for one, other in said_of_it.items() if other == one or english_in(other)}
    assert left == set()


def test_the_scan_sees_what_the_api_refuses() -> None:
    found = {one for file in REST for one in refusals(file)}
    assert len(found) > 60
    assert "there is no source `x1`" in found
    assert "`/api/v1/openapi.json` says what is expected" in found
    assert "`x1` is not allowed here: query the tables by name" in found


BODIES = {
    one
    for module in (connect, drafts, revisions, sql, stops)
    for one in vars(module).values()
    if isinstance(one, type) and issubclass(one, BaseModel) and one.__module__ == module.__name__
}
WRONG: list[Any] = [
    None, 1, -1, 2.5, 1e9, True, "x", "x" * 200_001, "5.5", [], [1], ["x"] * 600, {}, {"do": "x"},
    {"do": "change_source", "put": [], "drop": [1], "x": "y"}, {"x": 1},
]  # fmt: skip


def refused(body: type[BaseModel]) -> Iterator[str]:
    """What is wrong with values of each key that it cannot have, as the API puts it."""
    names = [field.alias or name for name, field in body.model_fields.items()]
    for value in [*WRONG, *({name: one} for name in names for one in WRONG)]:
        try:
            body.model_validate(value)
        except ValidationError as error:
            yield from (f"`x`: {one['msg'][:1].lower()}{one['msg'][1:]}" for one in error.errors())


def test_what_cannot_be_read_of_a_request_is_said_in_german() -> None:
    said_of_it = {one: german(one) for body in BODIES for one in refused(body)}
    assert len(said_of_it) > 30
    assert {one for one, other in said_of_it.items() if other == one or english_in(other)} == set()
