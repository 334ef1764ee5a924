"""When a source of the reference company is off the network: cut cables and restarts, seeded."""

import random
from collections.abc import Iterator

from isthmus.base.clock import HOUR, SECOND, Micros

Outage = tuple[Micros, Micros]


def outages(source: str, seed: int, start: Micros) -> Iterator[Outage]:
    """Spans in which nobody reaches this source: about one a day, one to eight minutes each."""
    chance = random.Random(f"{seed}/{source}/outages")
    at = start
    while True:
        at += round(chance.uniform(6, 40) * HOUR)
        lasts = round(chance.uniform(60, 480)) * SECOND
        yield at, at + lasts
        at += lasts
