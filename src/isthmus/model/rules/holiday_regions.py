"""Which countries and regions have known holidays."""

from functools import lru_cache

from isthmus.model.suggest import did_you_mean_or_list


@lru_cache(maxsize=256)
def complaint(region: str) -> tuple[str, str]:
    """What is wrong with `DE-XX`, and a hint; both empty if nothing is."""
    import holidays  # noqa: PLC0415 - slow to import, and a model may have no holidays

    country, _, part = region.partition("-")
    try:
        holidays.country_holidays(country, subdiv=part or None)
    except NotImplementedError:
        known = holidays.list_supported_countries()  # slow: reads every country
    else:
        return "", ""
    if country not in known:
        hint = did_you_mean_or_list(country, known, "countries")
        return f"no holidays are known for the country `{country}`", hint
    regions = [f"{country}-{each}" for each in known[country]]
    hint = did_you_mean_or_list(region, regions, f"regions of {country}")
    return f"no holidays are known for the region `{region}`", hint
