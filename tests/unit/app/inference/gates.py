"""Stand-ins for work: jobs that wait to be let go, and networks that are well or not."""

from threading import Event

from app.errors import InferenceFailedError


class Gate:
    """A job that says when it has begun, and ends when it is let."""

    def __init__(self) -> None:
        self.begun = Event()
        self.open = Event()

    def __call__(self) -> str:
        self.begun.set()
        assert self.open.wait(30)
        return "done"


class Networks:
    """The engine's patient."""

    def __init__(self) -> None:
        self.well = True
        self.probes = 0
        self.curable = True

    def probe(self) -> None:
        self.probes += 1
        if not self.curable:
            raise InferenceFailedError("still broken")
        self.well = True
