from pathlib import Path

from models.train.journal import Journal, read_log


def test_entries_are_lines_with_their_step(tmp_path: Path) -> None:
    journal = Journal(tmp_path, first_step=0)
    journal.write(1, {"loss": 0.5})
    assert [(entry["step"], entry["loss"]) for entry in read_log(tmp_path)] == [(1, 0.5)]
    journal.close()
    assert list((tmp_path / "tensorboard").glob("events*"))


def test_steps_that_will_be_taken_again_are_dropped(tmp_path: Path) -> None:
    journal = Journal(tmp_path, first_step=0)
    for step in (1, 2, 3):
        journal.write(step, {"loss": float(step)})
    journal.close()
    with (tmp_path / "log.jsonl").open("a") as log:
        log.write('{"step": 4, "lo')
    journal = Journal(tmp_path, first_step=2)
    journal.write(3, {"loss": 30.0})
    journal.close()
    assert [entry["loss"] for entry in read_log(tmp_path)] == [1.0, 2.0, 30.0]
