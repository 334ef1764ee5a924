"""What every level stands on: problem, clock, units, telemetry. A fifth needs an ADR."""
