"""Real answers, as the API's description shows them: measured once, on the default packages."""

from typing import Any

_THRESHOLD = {
    "value": 0.42181,
    "source": "calibration",
    "fmr": 0.0001,
    "fmr_interval": [8.62e-05, 0.000116],
    "data": "LFW View 1 training pairs' people, raw photos",
}
_SIDE_A = {
    "image": {"width": 512, "height": 512, "format": "jpeg"},
    "face": {
        "box": {"left": 178.47, "top": 63.97, "right": 269.06, "bottom": 173.61},
        "score": 0.9424,
        "landmarks": {
            "left_eye": [201.58, 105.67],
            "right_eye": [245.2, 105.3],
            "nose": [220.72, 127.01],
            "left_mouth": [203.65, 145.06],
            "right_mouth": [242.02, 145.25],
        },
    },
    "faces_found": 1,
    "quality": {"norm": 12.3555, "score": 38.1, "basis": "norm", "reasons": []},
    "timings_ms": {"decode": 1.9, "detect": 21.4, "align": 0.3, "embed": 28.7},
}
_SIDE_B = {
    "image": {"width": 220, "height": 236, "format": "jpeg"},
    "face": {
        "box": {"left": 46.53, "top": 51.42, "right": 118.28, "bottom": 138.6},
        "score": 0.9399,
        "landmarks": {
            "left_eye": [65.53, 81.25],
            "right_eye": [98.72, 82.49],
            "nose": [81.27, 100.26],
            "left_mouth": [66.09, 112.16],
            "right_mouth": [96.4, 112.91],
        },
    },
    "faces_found": 1,
    "quality": {"norm": 11.9634, "score": 24.0, "basis": "norm", "reasons": []},
    "timings_ms": {"decode": 0.5, "detect": 20.9, "align": 0.3, "embed": 28.5},
}
VERIFY: dict[str, Any] = {
    "match": True,
    "similarity": 0.950093,
    "threshold": _THRESHOLD,
    "identical_image": False,
    "quality_policy": "reject",
    "image_a": _SIDE_A,
    "image_b": _SIDE_B,
    "packages": {
        "detector": "yunet-2023mar",
        "recogniser": "sface-2021dec",
        "contract_id": "c1-022f309fd5ce2fb4ebaabf31b0f4594e",
    },
    "liveness": "not_performed",
    "total_ms": 55.1,
    "request_id": "6dc7873c183343eb9ea27d10912b8b69",
}
DETECT: dict[str, Any] = {
    "image": _SIDE_A["image"],
    "faces": [_SIDE_A["face"]],
    "detector": "yunet-2023mar",
    "timings_ms": {"decode": 1.9, "detect": 21.4},
    "request_id": "0f3a5c1e7e2d4d0f9a6b1c2d3e4f5a6b",
}
ERROR: dict[str, Any] = {
    "error": {
        "code": "image_undecodable",
        "message": "the jpeg is damaged or of an unknown variety",
        "image": "image_b",
    },
    "request_id": "2e093f5782d542e196366acb32dd1c8d",
}


def answer(example: dict[str, Any]) -> dict[int | str, dict[str, Any]]:
    """`responses` entry that shows `example` for a success."""
    return {200: {"content": {"application/json": {"example": example}}}}
