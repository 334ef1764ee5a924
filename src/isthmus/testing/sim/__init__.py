"""The simulated devices and ERP of `examples/acme`; they know the truth they produced."""
