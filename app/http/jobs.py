"""The jobs of the running service, as routes ask for them."""

from typing import Annotated

from fastapi import Depends, Request

from app.errors import NotReadyError
from app.jobs.room import Jobs


async def jobs(request: Request) -> Jobs:
    """Raises NotReadyError while the service starts or stops."""
    running = getattr(request.app.state, "jobs", None)
    if not isinstance(running, Jobs):
        raise NotReadyError("the service is starting or stopping")
    return running


JobsDep = Annotated[Jobs, Depends(jobs)]
