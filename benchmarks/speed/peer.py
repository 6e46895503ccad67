"""What one would write oneself: FastAPI around insightface's FaceAnalysis, on the same weights.

    python -m benchmarks.speed.peer DETECTOR.onnx RECOGNISER.onnx MEAN STD PORT

FaceAnalysis with its defaults (sessions of as many threads as there are cores), detection at
640×640 and recognition alone; a plain function as the endpoint, so that requests run in threads
beside each other. Its guess of the pixel arithmetic is set right, or features would be wrong.
"""

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import uvicorn
from fastapi import Body, FastAPI, HTTPException
from insightface.app import FaceAnalysis


def analysis(root: Path, detector: Path, recogniser: Path, mean: float, std: float) -> FaceAnalysis:
    """Its models are read from `root` also later on."""
    pack = root / "models" / "pack"
    pack.mkdir(parents=True)
    for file in (detector, recogniser):
        shutil.copy(file, pack)
    found = FaceAnalysis(
        "pack",
        str(root),
        allowed_modules=["detection", "recognition"],
        providers=["CPUExecutionProvider"],
    )
    found.prepare(ctx_id=-1, det_size=(640, 640))
    found.models["recognition"].input_mean = mean
    found.models["recognition"].input_std = std
    return found


def app(faces: FaceAnalysis) -> FastAPI:
    api = FastAPI()

    @api.get("/readyz")
    def ready() -> str:
        return "ok"

    @api.post("/embed")
    def embed(photo: Annotated[bytes, Body(media_type="image/jpeg")]) -> list[float]:
        found = faces.get(cv2.imdecode(np.frombuffer(photo, np.uint8), cv2.IMREAD_COLOR))
        if not found:
            raise HTTPException(422, "no face")
        largest = max(found, key=lambda f: (f.bbox[2] - f.bbox[0]) * (f.bbox[3] - f.bbox[1]))
        return [float(value) for value in largest.embedding]

    return api


def main(detector: str, recogniser: str, mean: str, std: str, port: str) -> None:
    with tempfile.TemporaryDirectory() as root:
        faces = analysis(Path(root), Path(detector), Path(recogniser), float(mean), float(std))
        uvicorn.run(app(faces), port=int(port), log_level="error", access_log=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
