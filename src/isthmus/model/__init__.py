"""The declaration: one folder of YAML becomes one checked, frozen `Plant`."""
