"""Which reader a path needs: the only place where formats are told apart."""

from collections.abc import Sequence
from pathlib import Path

from models.data.folder import open_image_folder, open_tar_folder
from models.data.recordio import open_recordio
from models.data.shards import open_shards
from models.data.source import DataError, FaceSource, concatenate


def open_source(path: str | Path) -> FaceSource:
    """Open labelled faces: an image folder, a tar of one, a RecordIO directory, or tar shards."""
    path = Path(path)
    if path.is_file() and path.suffix == ".tar":
        return open_tar_folder(path)
    if not path.is_dir():
        raise DataError(f"{path} is neither a directory nor a .tar file.")
    if (path / "train.rec").exists():
        return open_recordio(path)
    if any(path.glob("*.tar")):
        return open_shards(path)
    return open_image_folder(path)


def open_sources(paths: Sequence[str | Path]) -> FaceSource:
    """Open several as one; their identities stay apart."""
    return concatenate(*(open_source(path) for path in paths))
