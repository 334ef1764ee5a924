"""Changes a person accepted, written into the model's YAML: comments, order and layout stay."""
