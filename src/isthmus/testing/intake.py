"""A process that takes in, writes and acknowledges until it is killed: for kill and power tests.

`python -m isthmus.testing.intake FOLDER [STEPS]` prints each number once it is acknowledged.
"""

import sys
from pathlib import Path

from isthmus.data.writer import Writer
from isthmus.flow.failpoint import reach
from isthmus.flow.log import SqliteLog
from isthmus.testing.small_company import KEEP, T0, plant, samples, shaped

_COMMIT_EVERY = 3


def main(folder: Path, steps: int) -> None:
    log = SqliteLog(folder / "log" / "hamburg.sqlite", "hamburg", KEEP)
    writer = Writer(folder / "lake", {"hamburg": log}, plant())
    writer.verify()
    writer.write_once()
    state = log.state("im07")
    number = int(state) + 1 if state else 0
    for step in range(1, steps + 1):
        log.append("im07", samples(number), shaped(number), now=T0)
        reach("acknowledge.before")
        print(number, flush=True)  # noqa: T201 - the acknowledgement the test counts
        reach("acknowledge.after")
        number += 1
        if step % _COMMIT_EVERY == 0:
            writer.write_once()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else sys.maxsize)
