"""`isthmus schema`: the JSON Schema of the model, for editors and other tools."""

import json
from pathlib import Path
from typing import Annotated

import typer


def schema(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", dir_okay=False, help="A file; else printed.")
    ] = None,
) -> None:
    """Write the JSON Schema of every document a model may have.

    Editors complete and check with it, for example by this first line of a YAML file:

    # yaml-language-server: $schema=isthmus.schema.json
    """
    from isthmus.model.publish import json_schema
    from isthmus.runtime.open import kinds

    text = json.dumps(json_schema(kinds()), ensure_ascii=False, indent=2)
    if output is None:
        print(text)
    else:
        output.write_text(text + "\n", encoding="utf-8")
        print(f"wrote {output}")
