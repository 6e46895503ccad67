"""No body is read for which no worker has a place: refusals stay cheap, whatever is offered."""

from fastapi import Depends

from app.http.access import CallerDep
from app.http.deps import ServiceDep


async def _has_room(service: ServiceDep, caller: CallerDep) -> None:
    service.engine.check_room(caller.owner)


HAS_ROOM = Depends(_has_room)
"""Of every route that takes photos, behind what it needs. Raises BusyError."""
