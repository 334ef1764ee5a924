"""What MTConnect agents and adapters have in common: conditions, data sets, documents."""
