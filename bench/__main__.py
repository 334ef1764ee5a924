"""`python -m bench [NAME…]`: runs benchmarks, each in a process of its own.

Each prints its figures beside their budgets and writes them to `bench/results/NAME.json`. The exit
code says whether every benchmark ran, not whether it was fast: that is for a person to judge, who
knows what else the machine was doing.
"""

import subprocess
import sys
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
BENCHES: Final = (
    "model_check", "shape", "field", "field_mqtt", "field_memory", "field_opcua", "ingest",
    "facts", "oee_query", "shift_query", "corrected_order", "start", "memory", "first_page",
    "wire_to_screen",
)  # fmt: skip
"""The last four run the reference company; `wire_to_screen` takes about five minutes."""


def main(wanted: list[str]) -> int:
    unknown = [name for name in wanted if name not in BENCHES]
    if unknown:
        print(f"no benchmark `{unknown[0]}`; there are: {', '.join(BENCHES)}", file=sys.stderr)
        return 2
    failed = [name for name in wanted or BENCHES if not _ran(name)]
    if failed:
        print(f"did not run to its end: {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed))


def _ran(name: str) -> bool:
    command = [sys.executable, "-m", f"bench.{name}"]
    return subprocess.run(command, cwd=HERE.parent, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
