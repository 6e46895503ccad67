"""Which bounds a request's body has: uploads to import are larger than everything else."""

import re
from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

_IMPORTS = re.compile(r"/v1/galleries/[^/]+/imports")
_PHOTOS = re.compile(r"/v1/(embed|galleries/[^/]+/(identify|subjects/[^/]+/faces))")
Bounds = Callable[[ASGIApp], ASGIApp]


class LongUploads:
    """Sends imports, and requests of several photos, through their own bounds; all other requests
    through the usual ones."""

    def __init__(self, app: ASGIApp, usual: Bounds, photos: Bounds, uploads: Bounds) -> None:
        self._usual = usual(app)
        self._photos = photos(app)
        self._uploads = uploads(app)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._bounds(scope)(scope, receive, send)

    def _bounds(self, scope: Scope) -> ASGIApp:
        if scope["type"] != "http":
            return self._usual
        if _IMPORTS.fullmatch(scope["path"]):
            return self._uploads
        return self._photos if _PHOTOS.fullmatch(scope["path"]) else self._usual
