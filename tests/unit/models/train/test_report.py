import io

from rich.console import Console

from models.train.report import Terminal

FIGURES = {"loss": 1.25, "images_per_second": 800.0}


def watch(*, is_terminal: bool) -> str:
    output = io.StringIO()
    console = Console(file=output, force_terminal=is_terminal, width=120)
    with Terminal(console) as terminal:
        terminal.begin(0, 10)
        terminal.figures(5, FIGURES)
        terminal.advance(5)
        terminal.figures(5, {"lfw/auc": 0.5})
        terminal.say("saved here")
    return output.getvalue()


def test_a_terminal_shows_progress() -> None:
    shown = watch(is_terminal=True)
    assert "5/10" in shown
    assert "800 images/s" in shown
    assert "saved here" in shown


def test_elsewhere_there_is_a_line_per_entry() -> None:
    assert watch(is_terminal=False).splitlines() == [
        "step 5  loss 1.250  800 images/s",
        "lfw/auc 0.5000",
        "saved here",
    ]
