"""What reading so many values cost, of us and of those beside us."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Cost:
    """Values that came in `wall_s`, and the CPU seconds the reading process took for them."""

    values: int
    wall_s: float
    cpu_s: float
    memory_mb: float = 0.0

    @property
    def per_cpu_second(self) -> float:
        return self.values / self.cpu_s if self.cpu_s else 0.0

    @property
    def cpu_per_10_000(self) -> float:
        return 10_000 * self.cpu_s / self.values if self.values else 0.0

    def as_dict(self) -> dict[str, Any]:
        found = {
            "values": self.values,
            "wall_s": round(self.wall_s, 2),
            "values_per_second": round(self.values / self.wall_s),
            "cpu_s": round(self.cpu_s, 3),
            "values_per_cpu_second": round(self.per_cpu_second),
            "cpu_s_per_10_000_values": round(self.cpu_per_10_000, 4),
        }
        return found | ({"memory_mb": round(self.memory_mb)} if self.memory_mb else {})
