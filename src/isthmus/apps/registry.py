"""Every use case, one line each."""

from collections.abc import Mapping

from isthmus.apps.app import UseCase
from isthmus.apps.oee.app import DOWNTIME, OEE
from isthmus.model.spec.site import UseCaseSpec

CASES: Mapping[str, UseCase] = {case.name: case for case in (OEE, DOWNTIME)}

USE_CASES: Mapping[str, type[UseCaseSpec]] = {name: case.Spec for name, case in CASES.items()}
"""What the model may declare under `use_cases`; handed to `load` as `Kinds.use_cases`."""
