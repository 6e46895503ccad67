"""A gallery of well separated people with known faults."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray

from app.gallery.enrolment import Enrolment
from app.gallery.health.examine import Budget, Task
from app.gallery.health.findings import Limits
from app.gallery.health.neighbours import Neighbours
from app.gallery.index.segment import View
from app.gallery.service import GalleryService
from app.gallery.types import Gallery, GallerySpec, NewFace, SubjectSpec
from tests.unit.app.gallery.conftest import CONTRACT, DIM, Open

LIMITS = Limits(duplicate=0.8, outlier=0.6, weak=8.0, same_person=0.9)


@dataclass(frozen=True, slots=True)
class People:
    """A store with the gallery `people` of the owner `me`."""

    service: GalleryService
    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(5))

    @property
    def gallery(self) -> Gallery:
        return self.service.gallery("me", "people")

    @property
    def view(self) -> View:
        return self.service.store.projections.get(self.gallery).view

    def directions(self, count: int) -> NDArray[np.float64]:
        """Of so many people; random ones are nearly orthogonal."""
        rows = self.random.standard_normal((count, DIM))
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))

    def add(
        self, key: str, direction: NDArray[np.float64], count: int = 1, norm: float = 12.0
    ) -> list[int]:
        """Faces near a direction (cosines of about 0.95 to one another); their ids."""
        noise = self.random.standard_normal((count, DIM)) * 0.15 / np.sqrt(DIM)
        rows = direction + noise
        rows *= norm / np.linalg.norm(rows, axis=1, keepdims=True)
        faces = [NewFace(row.astype(np.float32)) for row in rows]
        enrolment = Enrolment(key, faces, CONTRACT, create=SubjectSpec())
        stored = self.service.enrol("me", "people", enrolment).enrolled.faces
        return [face.id for face in stored]

    def crowd(self, count: int, faces: int = 3) -> NDArray[np.float64]:
        """People p000, p001 …; their directions."""
        directions = self.directions(count)
        for number, direction in enumerate(directions):
            self.add(f"p{number:03}", direction, faces)
        return directions


@pytest.fixture
def people(open_gallery: Open) -> People:
    service = open_gallery()
    service.create_gallery("me", GallerySpec("people", CONTRACT, DIM, "off", identify=True))
    return People(service)


def task(
    limits: Limits = LIMITS,
    across: bool = True,
    budget: Budget | None = None,
    before: Neighbours | None = None,
) -> Task:
    """An examination without pauses."""
    return Task(limits, across, budget or Budget(), before or Neighbours.none(), lambda: None)
