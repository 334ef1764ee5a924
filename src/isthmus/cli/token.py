"""`isthmus token create`: a token for programs that use the API."""

from enum import StrEnum
from typing import Annotated

import typer

from isthmus.runtime.settings import Settings

token = typer.Typer(help="Tokens for programs that use the API.", no_args_is_help=True)


class RoleName(StrEnum):
    """What the holder may do."""

    viewer = "viewer"
    engineer = "engineer"
    admin = "admin"


@token.command("create")
def create(
    name: Annotated[str, typer.Option(help="Whom or what it is for; shown in lists and logs.")],
    role: Annotated[RoleName, typer.Option(help="What it may do.")] = RoleName.viewer,
) -> None:
    """Print a new token once; only its hash is kept. Use it as `Authorization: Bearer …`."""
    from isthmus.web.auth import RefusedError, create_token

    settings = Settings.of()
    settings.data.mkdir(parents=True, exist_ok=True)
    try:
        print(create_token(settings.data, name, role.value))
    except RefusedError as refused:
        raise typer.BadParameter(str(refused), param_hint="--name") from None


@token.command("revoke")
def revoke(name: Annotated[str, typer.Option(help="The name it was made with.")]) -> None:
    """Make a token worthless at once."""
    from isthmus.web.auth import Accounts, accounts_folder

    accounts = Accounts(accounts_folder(Settings.of().data))
    found = accounts.revoke_token(name)
    accounts.close()
    if not found:
        raise typer.BadParameter(f"no token `{name}`", param_hint="--name")
    print(f"token `{name}` is revoked")
