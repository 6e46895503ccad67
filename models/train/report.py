"""What a run tells whoever watches it: a progress bar on a terminal, lines elsewhere."""

from collections.abc import Mapping
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class Observer(Protocol):
    """Watches a run; `with` surrounds the steps."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def begin(self, step: int, num_steps: int) -> None:
        """The run goes from `step` to `num_steps`."""

    def advance(self, step: int) -> None:
        """`step` steps are done."""

    def figures(self, step: int, values: Mapping[str, float]) -> None:
        """The log's entry after `step` steps."""

    def say(self, message: str) -> None:
        """Something to know."""


class Silent:
    """Says nothing: the other ranks, and tests."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def begin(self, step: int, num_steps: int) -> None: ...

    def advance(self, step: int) -> None: ...

    def figures(self, step: int, values: Mapping[str, float]) -> None: ...

    def say(self, message: str) -> None: ...


class Terminal:
    """A progress bar with loss, images per second and time left; lines where it is no terminal."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True)
        self.progress = Progress(
            TextColumn("step"),
            MofNCompleteColumn(),
            BarColumn(),
            TextColumn("{task.description}"),
            TimeRemainingColumn(),
            console=self.console,
            disable=not self.console.is_terminal,
            # No refresh thread: the loader forks its workers after the bar is shown.
            auto_refresh=False,
        )
        self.task = self.progress.add_task("", total=None)

    def __enter__(self) -> Self:
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def begin(self, step: int, num_steps: int) -> None:
        self.progress.update(self.task, completed=step, total=num_steps)

    def advance(self, step: int) -> None:
        self.progress.update(self.task, completed=step)
        self.progress.refresh()

    def figures(self, step: int, values: Mapping[str, float]) -> None:
        if "loss" not in values:
            self.say("  ".join(f"{name} {value:.4f}" for name, value in values.items()))
            return
        text = f"loss {values['loss']:.3f}  {values['images_per_second']:.0f} images/s"
        self.progress.update(self.task, description=text)
        if not self.console.is_terminal:
            self.console.print(f"step {step}  {text}", highlight=False)

    def say(self, message: str) -> None:
        self.progress.console.print(message, highlight=False, soft_wrap=True)
