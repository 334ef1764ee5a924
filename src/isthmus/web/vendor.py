"""Copies what we need of the npm packages beside our own: `python -m isthmus.web.vendor`."""

import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

VENDOR: Final = Path(__file__).parent / "static" / "vendor"
"""Git-ignored: none of this code is ours."""

REPOSITORY: Final = Path(__file__).parents[3]


@dataclass(frozen=True)
class Package:
    """One npm package and which of its files a browser needs."""

    name: str
    files: tuple[str, ...]
    license: str


PACKAGES: Final = (
    Package("htmx.org", ("dist/htmx.min.js",), "LICENSE"),
    Package("uplot", ("dist/uPlot.iife.min.js", "dist/uPlot.min.css"), "LICENSE"),
    Package(
        "@fontsource-variable/inter",
        (
            "files/inter-latin-wght-normal.woff2",
            "files/inter-latin-ext-wght-normal.woff2",
        ),
        "LICENSE",
    ),
)


class VendorMissingError(Exception):
    """The front-end packages were not fetched or not copied."""


def require(folder: Path = VENDOR) -> None:
    """Fail with what to do when a file is missing: a page without its scripts is a riddle."""
    missing = [path for path in _targets() if not (folder / path).is_file()]
    if missing:
        raise VendorMissingError(
            f"the web pages need {missing[0]} (and {len(missing) - 1} more files) of npm packages. "
            "Run `npm ci && python -m isthmus.web.vendor` in the repository; `make run` does it."
        )


def copy(modules: Path, folder: Path = VENDOR) -> list[Path]:
    """Copy the files from `node_modules`, write `packages.json` for the About page."""
    if not modules.is_dir():
        raise VendorMissingError(f"there is no {modules.name} folder. Run `npm ci` first.")
    written: list[Path] = []
    for package in PACKAGES:
        target = folder / _folder(package)
        target.mkdir(parents=True, exist_ok=True)
        wanted = [modules / package.name / file for file in (*package.files, package.license)]
        written += [Path(shutil.copyfile(file, target / file.name)) for file in wanted]
    facts = [_facts(package, modules) for package in PACKAGES]
    (folder / "packages.json").write_text(json.dumps(facts, indent=1), encoding="utf-8")
    return written


def packages(folder: Path = VENDOR) -> list[dict[str, str]]:
    """Name, version and licence of everything that was copied."""
    facts: list[dict[str, str]] = json.loads((folder / "packages.json").read_text("utf-8"))
    return facts


def _targets() -> list[str]:
    return [
        f"{_folder(package)}/{Path(file).name}" for package in PACKAGES for file in package.files
    ] + ["packages.json"]


def _folder(package: Package) -> str:
    return package.name.rsplit("/", 1)[-1].removesuffix(".org")


def _facts(package: Package, modules: Path) -> dict[str, str]:
    manifest = json.loads((modules / package.name / "package.json").read_text("utf-8"))
    return {"name": package.name, "version": manifest["version"], "license": manifest["license"]}


if __name__ == "__main__":
    for path in copy(Path(sys.argv[1]) if len(sys.argv) > 1 else REPOSITORY / "node_modules"):
        sys.stdout.write(f"{path.relative_to(VENDOR.parent)}\n")
