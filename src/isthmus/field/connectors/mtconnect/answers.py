"""Answers of an agent after which the connector itself knows what to do."""


class OutOfRangeError(Exception):
    """The agent does not have the sequence numbers we asked for."""


class BrokenOffError(Exception):
    """The stream ended in the middle; the agent may still be there."""


class AssetNotFoundError(Exception):
    """The agent has no asset of that id, or none at all."""
