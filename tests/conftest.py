"""For all tests: the long ones first, so that parallel workers end together."""

from pathlib import Path

from hypothesis import HealthCheck, settings

# A machine that is busy gives no wrong answer; how fast we are is measured in `bench/`.
settings.register_profile(
    "patient",
    settings.get_profile(settings.get_current_profile_name()),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("patient")

WHOLE = Path(__file__).parent / "whole"


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: WHOLE not in item.path.parents)
