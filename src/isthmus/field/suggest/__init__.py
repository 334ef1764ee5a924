"""Which tag may feed which field: names, units, types, behaviour, standards. No network."""

from isthmus.field.suggest.proposals import CONFIDENT, Proposal, Suggestion, suggest
from isthmus.field.suggest.reason import Reason

__all__ = ["CONFIDENT", "Proposal", "Reason", "Suggestion", "suggest"]
