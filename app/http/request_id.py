"""The request's id, for routes that read nothing else of the request."""

from typing import Annotated

from fastapi import Depends, Request


async def request_id(request: Request) -> str:
    """The id that the RequestId middleware gave."""
    return str(request.state.request_id)


RequestIdDep = Annotated[str, Depends(request_id)]
