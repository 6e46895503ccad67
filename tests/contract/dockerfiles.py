"""Dockerfiles as lists of instructions, as far as our own use the syntax."""

import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction, its line continuations joined by single spaces."""

    name: str
    rest: str


@dataclass(frozen=True, slots=True)
class Stage:
    """From one FROM to the next. `name` is "" where it has none, as the last one."""

    name: str
    base: str
    steps: tuple[Instruction, ...]

    def all(self, name: str) -> list[str]:
        return [step.rest for step in self.steps if step.name == name]

    def one(self, name: str) -> str:
        [rest] = self.all(name)
        return rest


def instructions(file: Path) -> list[Instruction]:
    kept = [line for line in file.read_text().splitlines() if not re.match(r"\s*(#|$)", line)]
    joined = re.sub(r"\s*\\\n\s*", " ", "\n".join(kept))
    return [Instruction(*line.split(None, 1)) for line in joined.splitlines()]


def stages(file: Path) -> list[Stage]:
    found: list[Stage] = []
    for one in instructions(file):
        if one.name == "FROM":
            base, _, name = one.rest.partition(" AS ")
            found.append(Stage(name, base, ()))
        elif found:
            last = found[-1]
            found[-1] = Stage(last.name, last.base, (*last.steps, one))
    return found
