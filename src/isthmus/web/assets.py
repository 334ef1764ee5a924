"""Static files: read once, compressed once, served under a digest so that they never expire."""

import gzip
import hashlib
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

_IMMUTABLE = "public, max-age=31536000, immutable"
_COMPRESSED = {".css", ".js", ".svg", ".json"}
_TYPES = {".js": "text/javascript", ".woff2": "font/woff2", ".svg": "image/svg+xml"}


@dataclass(frozen=True)
class Asset:
    """One file, ready to send."""

    body: bytes
    gzipped: bytes | None
    media_type: str


class Assets:
    """ASGI app for `/static`; one digest for the whole tree, so relative imports keep working."""

    def __init__(self, roots: Mapping[str, Path]) -> None:
        self._files = {
            f"{prefix}{path.relative_to(root).as_posix()}": _read(path)
            for prefix, root in roots.items()
            for path in sorted(root.rglob("*"))
            if path.is_file()
        }
        digest = hashlib.sha256()
        for name, asset in self._files.items():
            digest.update(name.encode() + b"\0" + asset.body)
        self.version = digest.hexdigest()[:12]

    def url(self, name: str) -> str:
        """Where `css/app.css` is served; KeyError if there is no such file."""
        if name not in self._files:
            raise KeyError(name)
        return f"/static/{self.version}/{name}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._answer(scope)(scope, receive, send)

    def _answer(self, scope: Scope) -> Response:
        path = scope["path"].removeprefix(scope.get("root_path", "")).lstrip("/")
        version, _, name = path.partition("/")
        asset = self._files.get(name)
        if asset is None:
            return PlainTextResponse("There is no such file.", 404)
        # A page of the version before may still ask for its files: answer, but do not keep.
        keep = _IMMUTABLE if version == self.version else "no-cache"
        headers = {"Cache-Control": keep, "Vary": "Accept-Encoding"}
        if asset.gzipped and "gzip" in Headers(scope=scope).get("accept-encoding", ""):
            headers["Content-Encoding"] = "gzip"
            return Response(asset.gzipped, 200, headers, asset.media_type)
        return Response(asset.body, 200, headers, asset.media_type)


def _read(path: Path) -> Asset:
    body = path.read_bytes()
    zipped = gzip.compress(body, 9, mtime=0) if path.suffix in _COMPRESSED else None
    guess = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return Asset(body, zipped, _TYPES.get(path.suffix, guess))
