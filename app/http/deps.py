"""What routes ask for."""

from typing import Annotated

from fastapi import Depends, Request

from app.errors import NotReadyError
from app.service import Service


async def service(request: Request) -> Service:
    """The running service. Raises NotReadyError while it starts or stops."""
    running = getattr(request.app.state, "service", None)
    if not isinstance(running, Service):
        raise NotReadyError("the service is starting or stopping")
    return running


ServiceDep = Annotated[Service, Depends(service)]
