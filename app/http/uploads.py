"""Which bounds a request's body has: uploads to import are larger than everything else."""

import re
from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

_IMPORTS = re.compile(r"/v1/galleries/[^/]+/imports")


class LongUploads:
    """Sends imports through their own bounds, all other requests through the usual ones."""

    def __init__(
        self,
        app: ASGIApp,
        usual: Callable[[ASGIApp], ASGIApp],
        uploads: Callable[[ASGIApp], ASGIApp],
    ) -> None:
        self._usual = usual(app)
        self._uploads = uploads(app)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        long = scope["type"] == "http" and _IMPORTS.fullmatch(scope["path"])
        await (self._uploads if long else self._usual)(scope, receive, send)
