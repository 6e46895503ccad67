"""Two recognisers beside one another: each gallery is asked in its own space."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app.errors import StartError
from app.service import build_service
from app.settings import Settings
from benchmarks.served import running
from export import package
from export.contract import ARCFACE_112, Preprocessing
from export.importers.networks import import_recogniser
from export.manifest import MODEL
from tests.conftest import Faces
from tests.unit.export.importers.about import about

OLD, NEW = "sface-2021dec", "sface-again"


@pytest.fixture(scope="module")
def home(packages_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with another recogniser, in a space of its own."""
    directory = tmp_path_factory.mktemp("next")
    shutil.copytree(packages_dir, directory / "packages")
    pixels = Preprocessing("RGB", (3.0, 3.0, 3.0), (0.9, 0.9, 0.9))
    model = package.load(packages_dir / OLD).read(MODEL)
    import_recogniser(directory / "packages" / NEW, model, about(NEW), pixels, ARCFACE_112)
    return directory


@pytest.fixture(scope="module")
def old_gallery(home: Path, faces: Faces) -> str:
    """A gallery made by the old recogniser, with one person; its contract id."""
    with running(data_dir=str(home)) as url, httpx.Client(base_url=url, timeout=60) as api:
        made = api.post("/v1/galleries", json={"name": "old", "identify": True})
        enrol(api, "old", faces.portrait)
        return str(made.json()["contract_id"])


@pytest.fixture(scope="module")
def api(home: Path, old_gallery: str) -> Iterator[httpx.Client]:
    """The new recogniser first, the old one beside it."""
    settings = {"recogniser": NEW, "next_recogniser": OLD, "data_dir": str(home)}
    with running(**settings) as url, httpx.Client(base_url=url, timeout=60) as api:
        yield api


def enrol(api: httpx.Client, gallery: str, photo: bytes) -> None:
    path = f"/v1/galleries/{gallery}/subjects/tom/faces"
    answer = api.post(path, files={"a": photo}, params={"conflict_similarity": 0.99})
    assert answer.status_code == 201, answer.text


def identified(api: httpx.Client, gallery: str, photo: bytes, **asked: float) -> httpx.Response:
    path = f"/v1/galleries/{gallery}/identify"
    return api.post(path, files={"image": photo}, params=asked)


def test_a_gallery_of_the_old_one_is_asked_with_the_old_one(
    api: httpx.Client, faces: Faces
) -> None:
    answer = identified(api, "old", faces.portrait_again)  # at the old one's calibrated rate
    assert answer.status_code == 200, answer.text
    [face] = answer.json()["faces"]
    assert face["candidates"][0]["subject"]["id"] == "tom"
    assert answer.json()["packages"]["recogniser"] == OLD
    claim = api.post("/v1/galleries/old/verify/tom", files={"image": faces.portrait})
    assert claim.status_code == 200, claim.text
    assert claim.json()["packages"]["recogniser"] == OLD
    assert claim.json()["similarity"] > 0.999, claim.text
    enrol(api, "old", faces.portrait_again)


def test_a_new_gallery_is_the_new_ones(api: httpx.Client, faces: Faces, old_gallery: str) -> None:
    made = api.post("/v1/galleries", json={"name": "new", "identify": True, "conflict": "off"})
    assert made.json()["contract_id"] != old_gallery
    enrol(api, "new", faces.portrait)
    answer = identified(api, "new", faces.portrait, threshold=0.5)
    [face] = answer.json()["faces"]
    assert face["candidates"][0]["similarity"] > 0.999
    assert answer.json()["packages"]["recogniser"] == NEW
    assert identified(api, "new", faces.portrait).json()["error"]["code"] == "calibration_missing"


def test_both_are_said_to_be_in_use(api: httpx.Client) -> None:
    models = api.get("/v1/models").json()["models"]
    assert {one["name"] for one in models if one["in_use"]} >= {OLD, NEW}


def test_one_recogniser_twice_is_refused(home: Path) -> None:
    settings = Settings(data_dir=home, recogniser=OLD, next_recogniser=OLD)
    with pytest.raises(StartError, match="NORMA_NEXT_RECOGNISER"):
        build_service(settings)
