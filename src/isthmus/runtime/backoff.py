"""How long to wait before trying again: longer each time, never all sources at once."""

import random
from dataclasses import dataclass, field


@dataclass
class Backoff:
    """Doubling pauses in seconds; `jitter` spreads sources that were lost together."""

    first: float
    longest: float
    jitter: float = 0.2
    tries: int = 0
    _random: random.Random = field(default_factory=random.Random)

    def pause(self) -> float:
        """The next pause; counts this try."""
        steady = min(self.longest, self.first * 2.0 ** min(self.tries, 32))
        self.tries += 1
        return steady * self._random.uniform(1 - self.jitter, 1 + self.jitter)

    def reset(self) -> None:
        self.tries = 0
