"""Fetching weights, from a real server on loopback that behaves well and badly."""

import io
import socket
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from export import package, pull
from export.catalogue import Entry
from export.errors import ImportFailedError, IntegrityError, PackageError
from export.manifest import Licence, RecogniserManifest, Training
from export.package import Package
from tests.unit.export import graphs

NETWORK = graphs.recogniser(dim=64)


@dataclass
class Home:
    """A public home of one file, and how it behaves."""

    url: str = ""
    data: bytes = NETWORK
    breaks_after: int | None = None
    """Bytes of a body after which the connection ends."""
    ranges: bool = True
    """Whether it honours Range."""
    status: int = 200
    garbage: bool = False
    """Whether it speaks no HTTP at all."""
    asked: list[str | None] = field(default_factory=list)
    """The Range of each request."""


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    monkeypatch.setenv("no_proxy", "*")
    served = Home()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.asked.append(self.headers["Range"])
            answer(self, served)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    served.url = f"http://127.0.0.1:{server.server_port}/files/weights.onnx"
    yield served
    server.shutdown()
    thread.join()
    server.server_close()


def answer(handler: BaseHTTPRequestHandler, home: Home) -> None:
    if home.garbage:
        handler.wfile.write(b"I am no web server\r\n\r\n")
        return
    start = int((handler.headers["Range"] or "bytes=0-")[6:-1]) if home.ranges else 0
    body = home.data[start:]
    handler.send_response(206 if start and home.status == 200 else home.status)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body[: home.breaks_after])


def entry(home: Home, data: bytes = NETWORK, *, must_accept: bool = False) -> Entry:
    return Entry(
        name="thing",
        kind="recogniser",
        description="a thing",
        url=home.url,
        sha256=package.sha256(data),
        size=len(data),
        licence=Licence(name="A Licence", commercial_use=False, url="https://example.org/licence"),
        training=Training(data="nothing", loss="none"),
        must_accept=must_accept,
    )


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    return tmp_path / "packages"


def downloads(packages: Path) -> list[str]:
    where = packages.parent / "downloads"
    return sorted(path.name for path in where.iterdir()) if where.is_dir() else []


def pulled(entry: Entry, packages: Path, *, accepted: bool = False) -> Package:
    [made] = pull.pull(entry, packages, accepted)
    return made


def test_a_whole_download_becomes_a_package(home: Home, packages: Path) -> None:
    made = pulled(entry(home), packages)
    assert isinstance(made.manifest, RecogniserManifest)
    assert made.path == packages / "thing"
    assert made.manifest.dim == 64
    assert made.manifest.source == home.url
    assert made.manifest.licence.name == "A Licence"
    assert len(home.asked) == 1


def test_what_was_fetched_once_is_not_fetched_again(home: Home, packages: Path) -> None:
    pulled(entry(home), packages)
    with pytest.raises(FileExistsError, match="thing exists; remove it first"):
        pulled(entry(home), packages)
    pulled(entry(home), packages.parent / "other")
    assert len(home.asked) == 1


@pytest.mark.parametrize("ranges", [True, False])
def test_a_broken_download_is_continued(home: Home, packages: Path, ranges: bool) -> None:
    """Where the home does not honour Range it begins again, and the file is right all the same."""
    home.breaks_after = 1000
    with pytest.raises(PackageError, match="run the command again to continue"):
        pulled(entry(home), packages)
    assert downloads(packages) == ["thing.onnx.part"]
    assert not packages.exists()
    home.breaks_after, home.ranges = None, ranges
    pulled(entry(home), packages)
    assert home.asked == ["bytes=0-", "bytes=1000-"]
    assert downloads(packages) == ["thing.onnx"]


def test_a_download_that_breaks_often_ends_some_time(home: Home, packages: Path) -> None:
    home.breaks_after = len(NETWORK) // 3
    for _ in range(3):
        with pytest.raises(PackageError, match="continue"):
            pulled(entry(home), packages)
    pulled(entry(home), packages)
    assert len(home.asked) == 4


@pytest.mark.parametrize("ranges", [True, False])
def test_wrong_bytes_are_removed(home: Home, packages: Path, ranges: bool) -> None:
    """Nothing wrong is left that the next try could continue or mistake for the file."""
    home.data = bytes(len(NETWORK))
    home.ranges = ranges
    found = package.sha256(home.data)
    with pytest.raises(
        IntegrityError, match=f"sha256 should be .*, is {found}; the file was removed"
    ):
        pulled(entry(home), packages)
    assert downloads(packages) == []
    assert not packages.exists()
    home.data = NETWORK
    pulled(entry(home), packages)


def test_a_wrong_beginning_is_found_when_it_is_continued(home: Home, packages: Path) -> None:
    (packages.parent / "downloads").mkdir()
    (packages.parent / "downloads" / "thing.onnx.part").write_bytes(b"x" * 500)
    with pytest.raises(IntegrityError, match="the file was removed"):
        pulled(entry(home), packages)
    assert downloads(packages) == []
    pulled(entry(home), packages)


def test_no_more_is_taken_than_was_promised(home: Home, packages: Path) -> None:
    home.data = NETWORK + bytes(50 * 1024**2)
    made = pulled(entry(home), packages)
    assert isinstance(made.manifest, RecogniserManifest)
    size = (packages.parent / "downloads" / "thing.onnx").stat().st_size
    assert size == len(NETWORK)


@pytest.mark.parametrize("name", ["thing.onnx"])
def test_a_file_put_there_by_hand_is_used(home: Home, packages: Path, name: str) -> None:
    (packages.parent / "downloads").mkdir()
    (packages.parent / "downloads" / name).write_bytes(NETWORK)
    pulled(entry(home), packages)
    assert home.asked == []


def offline(error: pytest.ExceptionInfo[PackageError], packages: Path) -> None:
    """The answer names the address, and where to put the file on a machine without access."""
    message = str(error.value)
    assert message.startswith("http://127.0.0.1:")
    assert f"put it at {packages.parent / 'downloads' / 'thing.onnx'}" in message


@pytest.mark.parametrize("status", [403, 404, 416, 500, 503])
def test_an_error_of_the_home_is_said(home: Home, packages: Path, status: int) -> None:
    home.status = status
    with pytest.raises(PackageError, match=f"HTTP Error {status}") as error:
        pulled(entry(home), packages)
    offline(error, packages)


def test_a_refused_connection_is_said(home: Home, packages: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refuses
        home.url = f"http://127.0.0.1:{taken.getsockname()[1]}/thing.onnx"
        with pytest.raises(PackageError, match="refused") as error:
            pulled(entry(home), packages)
    offline(error, packages)


def test_a_home_that_speaks_no_http_is_said(home: Home, packages: Path) -> None:
    home.garbage = True
    with pytest.raises(PackageError) as error:
        pulled(entry(home), packages)
    offline(error, packages)


@pytest.mark.parametrize("url", ["http://", "http://[::1", "http://host:port/x", "http://a b/c"])
def test_an_address_that_is_none_is_said(home: Home, packages: Path, url: str) -> None:
    home.url = url
    with pytest.raises(PackageError, match="put it at"):
        pulled(entry(home), packages)


def test_a_licence_must_be_accepted_before_anything_is_fetched(home: Home, packages: Path) -> None:
    asked = "'A Licence' .https://example.org/licence.; read it, then pass --accept-license"
    with pytest.raises(PackageError, match=asked):
        pulled(entry(home, must_accept=True), packages)
    assert home.asked == []
    pulled(entry(home, must_accept=True), packages, accepted=True)


def test_what_is_no_network_is_refused(home: Home, packages: Path) -> None:
    home.data = b"<html>sign in first</html>"
    with pytest.raises(ImportFailedError, match="thing: not an ONNX model"):
        pulled(entry(home, home.data), packages)
    assert not packages.exists()


def pack(recogniser: bytes, detector: bytes) -> bytes:
    """As InsightFace's release archives: some with a folder inside, some without."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("pack/det.onnx", detector)
        archive.writestr("pack/rec.onnx", recogniser)
        archive.writestr("../../escape.onnx.txt", b"x")
        archive.writestr("README", b"x")
    return buffer.getvalue()


def test_a_pack_becomes_two_packages(home: Home, packages: Path) -> None:
    home.data = pack(NETWORK, graphs.scrfd())
    made = pull.pull(
        entry(home, home.data).model_copy(update={"kind": "insightface-pack"}), packages, True
    )
    assert [one.name for one in made] == ["thing-detector", "thing-recogniser"]
    assert sorted(path.name for path in packages.iterdir()) == [one.name for one in made]
    assert downloads(packages) == ["thing.zip"]


@pytest.mark.assets
def test_a_pack_of_real_weights_becomes_two_packages(
    home: Home, packages: Path, assets: Path
) -> None:
    weights = assets / "weights"
    home.data = pack(
        (weights / "rec_insightface_y1.onnx").read_bytes(),
        (weights / "det_scrfd_500m_kps.onnx").read_bytes(),
    )
    made = pull.pull(
        entry(home, home.data).model_copy(update={"kind": "insightface-pack"}), packages, True
    )
    manifest = made[1].manifest
    assert isinstance(manifest, RecogniserManifest)
    assert manifest.dim == 128
    assert manifest.input.mean == (0.0, 0.0, 0.0), "normalised in the graph"


def test_a_pack_that_is_no_zip_is_refused(home: Home, packages: Path) -> None:
    with pytest.raises(ImportFailedError, match=r"thing\.zip: not a zip archive"):
        pull.pull(entry(home).model_copy(update={"kind": "insightface-pack"}), packages, True)
