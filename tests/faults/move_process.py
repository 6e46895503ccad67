"""A process that moves a gallery to another recogniser, to be killed and begun again."""

import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.errors import MoveNotFoundError
from app.gallery.enrolment import Enrolment
from app.gallery.policy import Policy
from app.gallery.service import GalleryService
from app.gallery.store import GalleryStore, StoreOptions
from app.gallery.types import GallerySpec, NewFace, SubjectSpec
from tests.faults.gallery_process import key_file

OWNER, GALLERY, PEOPLE, CHUNK = "owner", "people", 40, 8
SIDES = {"old": 32, "new": 48}
"""The dimensions of the two contracts."""
SPEC = GallerySpec(
    GALLERY, "old", SIDES["old"], conflict="off", identify=True, policy=Policy(vault=True)
)


def feature(contract: str, n: int) -> NDArray[np.float32]:
    random = np.random.default_rng([SIDES[contract], n])
    return (random.standard_normal(SIDES[contract]) * 3).astype(np.float32)


def opened(directory: Path) -> GalleryService:
    options = StoreOptions(segment_rows=16, keys=key_file(directory))
    return GalleryService(GalleryStore(directory, options), 1)


def furnish(service: GalleryService) -> None:
    service.create_gallery(OWNER, SPEC)
    for n in range(PEOPLE):
        faces = [NewFace(feature("old", n), keepsake=b"%d" % n)]
        enrolment = Enrolment(f"s{n}", faces, "old", create=SubjectSpec())
        service.enrol(OWNER, GALLERY, enrolment)


def move(service: GalleryService) -> None:
    """All steps that are still to be done."""
    if service.gallery(OWNER, GALLERY).spec.contract_id == "old":
        service.mover.begin(OWNER, GALLERY, "new", SIDES["new"])
        while pictures := (found := service.mover.pictures(OWNER, GALLERY, CHUNK))[2]:
            computed = {id_: NewFace(feature("new", int(p))) for id_, p in pictures.items()}
            service.mover.keep(*found[:2], computed)
        service.mover.cut_over(OWNER, GALLERY, back=False)
    with suppress(MoveNotFoundError):  # finished by the one before
        service.mover.finish(OWNER, GALLERY)


if __name__ == "__main__":
    gallery = opened(Path(sys.argv[1]))
    move(gallery)
    gallery.close()
