"""A table that a person pastes, or gives as a file."""

from fastapi import Request
from starlette.datastructures import UploadFile


async def uploaded(request: Request) -> tuple[dict[str, str], int | None]:
    """The form's texts; a file that was given takes the place of `table`.

    The number is that of the first byte of a file that is not UTF-8.
    """
    async with request.form() as given:
        form = {key: text for key, text in given.items() if isinstance(text, str)}
        file = given.get("file")
        content = await file.read() if isinstance(file, UploadFile) else b""
    try:
        return form | ({"table": content.decode("utf-8-sig")} if content else {}), None
    except UnicodeDecodeError as error:
        return form, error.start
