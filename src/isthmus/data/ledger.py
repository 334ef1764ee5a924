"""Proves that the data is complete: what came in is accounted for, what was shaped is stored."""

from isthmus.base.problem import Problem
from isthmus.data.lake import Lake

_UNACCOUNTED = """
SELECT source, tag, hour, received, shaped, quarantined, unmapped, thinned FROM ledger
WHERE received <> shaped + quarantined + unmapped + thinned ORDER BY hour, source, tag
"""
_UNSTORED = """
SELECT source, hour, sum(shaped)::BIGINT AS shaped, sum(stored)::BIGINT AS stored FROM ledger
GROUP BY source, hour HAVING sum(shaped) <> sum(stored) ORDER BY hour, source
"""


def check(lake: Lake) -> list[Problem]:
    """Every way in which the data would not be complete; empty: it is proved complete.

    Costs one pass over files that were not looked at yet.
    """
    return [*_accounted(lake), *_stored(lake), *_sequences(lake), *lake.problems(), *_raw(lake)]


def _accounted(lake: Lake) -> list[Problem]:
    return [
        Problem(
            "L001",
            f"sources.{row['source']}",
            f"{row['received']} samples of `{row['tag']}` came in the hour of {row['hour']}, but"
            f" {row['shaped']} shaped + {row['quarantined']} quarantined + {row['unmapped']}"
            f" unmapped + {row['thinned']} thinned",
        )
        for row in lake.query(_UNACCOUNTED).to_pylist()
    ]


def _stored(lake: Lake) -> list[Problem]:
    return [
        Problem(
            "L002",
            f"sources.{row['source']}",
            f"{row['shaped']} samples of the hour of {row['hour']} were shaped, the lake has"
            f" {row['stored']}",
        )
        for row in lake.query(_UNSTORED).to_pylist()
    ]


def _sequences(lake: Lake) -> list[Problem]:
    found = lake.sequences().to_pylist()
    return [
        Problem(
            "L003",
            f"log.{row['_site']}",
            f"{row['last'] - row['first'] + 1} parcels of epoch {row['_epoch']} should be in lake"
            f" and tail ({row['first']} to {row['last']}), {row['parcels']} are",
        )
        for row in found
        if row["parcels"] != row["last"] - row["first"] + 1
    ]


def _raw(lake: Lake) -> list[Problem]:
    """Not lost, but not in any table either: these samples wait for a replay."""
    return [
        Problem(
            "L004",
            f"sources.{failure.source}",
            f"{failure.samples} samples are kept as RAW alone (parcel {failure.raw}): shaping"
            f" failed with {failure.failure}",
            hint=f"once the cause is mended: `isthmus quarantine replay --source {failure.source}`",
            severity="warning",
        )
        for failure in lake.failures()
    ]
