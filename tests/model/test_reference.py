"""The reference pages are made from the code, and current."""

from pathlib import Path

from isthmus.model.catalogue import CATALOGUE
from isthmus.model.reference import model_page, problems_page

HERE = Path(__file__).parent
REFERENCE = HERE.parents[1] / "docs" / "reference"


def examples() -> dict[str, str]:
    """The golden finding of each code, without the summary and without its companions."""
    found: dict[str, str] = {}
    for path in sorted((HERE / "golden").glob("*/expected.txt")):
        code = path.parent.name.partition("_")[0]
        parts = path.read_text(encoding="utf-8").split("\n\n")
        found[code] = next(
            part for part in parts if part.startswith((f"error[{code}]", f"warning[{code}]"))
        )
    return found


def is_current(name: str, page: str, *, golden: bool) -> bool:
    path = REFERENCE / name
    if golden:
        path.write_text(page, encoding="utf-8")
    return path.read_text(encoding="utf-8") == page


def test_problems_page_is_current(*, golden: bool):
    assert is_current("problems.md", problems_page(examples()), golden=golden)


def test_model_page_is_current(*, golden: bool):
    assert is_current("model.md", model_page(), golden=golden)


def test_every_code_is_documented():
    page = (REFERENCE / "problems.md").read_text(encoding="utf-8")
    for code, entry in CATALOGUE.items():
        assert f"## {code}\n" in page
        assert entry.title in page
        assert len(entry.text) > 20


def test_every_key_of_the_model_has_a_place_in_the_reference():
    page = (REFERENCE / "model.md").read_text(encoding="utf-8")
    for key in ("enterprise", "machine_type", "minor_stop", "use_cases", "holidays", "interval"):
        assert f"`{key}`" in page
