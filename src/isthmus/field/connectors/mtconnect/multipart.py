"""`multipart/x-mixed-replace`: the endless answer of an agent, cut into its documents."""

import re
from collections.abc import AsyncIterator
from typing import Final

_BOUNDARY: Final = re.compile(r'boundary="?([^";,\s]+)"?', re.IGNORECASE)
_LENGTH: Final = re.compile(rb"^content-length:\s*(\d{1,12})\s*$", re.IGNORECASE | re.MULTILINE)
_LONGEST_HEAD: Final = 65_536


class BrokenStreamError(Exception):
    """What came is no multipart answer."""


def boundary_of(content_type: str) -> bytes | None:
    """The boundary; None if the answer is a single document."""
    if "multipart" not in content_type.lower():
        return None
    match = _BOUNDARY.search(content_type)
    if match is None:
        raise BrokenStreamError("a multipart answer without a boundary")
    return b"--" + match[1].encode()


async def parts(
    chunks: AsyncIterator[bytes], boundary: bytes, longest: int
) -> AsyncIterator[bytes]:
    """The body of each part as soon as it is complete."""
    buffer = bytearray()
    async for chunk in chunks:
        buffer += chunk
        while (part := _take(buffer, boundary, longest)) is not None:
            yield part


def _take(buffer: bytearray, boundary: bytes, longest: int) -> bytes | None:
    """Cut the first complete part out of the buffer; None if there is none yet."""
    start = buffer.find(boundary)
    head_end = buffer.find(b"\r\n\r\n", max(start, 0))
    if start < 0 or head_end < 0:
        if len(buffer) > _LONGEST_HEAD:
            raise BrokenStreamError("no boundary where one must be")
        return None
    body = head_end + 4
    length = _LENGTH.search(bytes(buffer[start:head_end]).replace(b"\r\n", b"\n"))
    # The standard wants a length; without one the part ends where the next begins.
    end = body + int(length[1]) if length else buffer.find(b"\r\n" + boundary, body)
    if end - body > longest or len(buffer) - body > longest + _LONGEST_HEAD:
        raise BrokenStreamError(f"a document of more than {longest} bytes")
    if end < body or end > len(buffer):
        return None
    part = bytes(buffer[body:end])
    del buffer[:end]
    return part
