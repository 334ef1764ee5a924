"""The shape of every file of the model, one kind per module; all of it pure, no driver, no I/O."""
