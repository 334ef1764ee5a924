"""A process that runs one source into a log until it has so many samples, or is killed.

`python -m isthmus.testing.source_intake FOLDER SAMPLES SPEC_JSON TAG…`
"""

import asyncio
import json
import sys
from pathlib import Path

from isthmus.base.clock import SystemClock
from isthmus.field.registry import SOURCE_KINDS
from isthmus.flow.log import SqliteLog
from isthmus.model.spec.site import Keep
from isthmus.runtime.sources import SourceRunner
from isthmus.testing.one_source import field, plant


async def main(folder: Path, wanted: int, options: dict[str, object], tags: list[str]) -> None:
    """End by itself once the log has them, and the source knows that it has."""
    spec = SOURCE_KINDS[str(options["kind"])].model_validate(options)
    maps = [field(f"m{number}", "cycle.melt_temp", tag) for number, tag in enumerate(tags)]
    source, whole = plant(*maps, spec=spec)
    log = SqliteLog(folder / "hamburg.sqlite", "hamburg", Keep(free_mb=0))
    runner = SourceRunner(
        source, whole, log, SystemClock(), on_rows=lambda _: None, on_event=lambda _: None
    )
    running = asyncio.create_task(runner.run())
    try:
        while received(log) < wanted and not running.done():  # noqa: ASYNC110
            await asyncio.sleep(0.01)  # the log tells nobody
        runner.stop()
        await running
    finally:
        log.close()


def received(log: SqliteLog) -> int:
    """Samples that the log has of its source."""
    with log.view() as view:
        return sum(view.count_table(0, 2**62)["received"].to_pylist())


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3]), sys.argv[4:]))
