"""What routes ask for."""

from typing import Annotated

from fastapi import Depends, Request

from app.errors import NotReadyError
from app.service import Service


def running_service(request: Request) -> Service | None:
    """The service, None while it starts or stops."""
    running = getattr(request.app.state, "service", None)
    return running if isinstance(running, Service) else None


async def service(request: Request) -> Service:
    """The running service. Raises NotReadyError while it starts or stops."""
    running = running_service(request)
    if running is None:
        raise NotReadyError("the service is starting or stopping")
    return running


ServiceDep = Annotated[Service, Depends(service)]
