"""What machines did: state intervals, losses, stops and their reasons, from the rows."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final

import pyarrow as pa

from isthmus.apps.app import Query
from isthmus.apps.oee.inputs import statement, window_params
from isthmus.apps.oee.options import minor_stop
from isthmus.apps.oee.view import (
    Label,
    LossKey,
    LossStep,
    ParetoRow,
    ReasonPart,
    StateInterval,
    Stop,
)
from isthmus.base.clock import SECOND, Micros, iso
from isthmus.model.plant import Machine, Plant
