"""Answers of an interface after which the connector itself knows what to do."""


class NotThereError(Exception):
    """This endpoint does not exist, or not for us; others may."""

    def __init__(self, why: str, quality: int) -> None:
        super().__init__(why)
        self.quality = quality


class TooManyError(Exception):
    """We ask too often, or it is too busy: come again after so many seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class NotModifiedError(Exception):
    """Nothing has changed since our last request (304)."""
