"""Answers of an agent after which the connector itself knows what to do."""


class OutOfRangeError(Exception):
    """The agent does not have the sequence numbers we asked for."""


class BrokenOffError(Exception):
    """The stream ended in the middle; the agent may still be there."""
