"""Makes happen what the model says: wiring, supervision, health."""
