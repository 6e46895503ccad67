"""Aligned crops to raw features."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from app.domain import Embedding
from app.errors import InferenceInvalidError
from app.inference.session import Network
from export.contract import AlignmentTemplate, norms
from export.manifest import RecogniserManifest


class Recogniser(Protocol):
    """Anything that turns aligned crops into features of one contract."""

    @property
    def contract_id(self) -> str: ...

    @property
    def dim(self) -> int: ...

    @property
    def template(self) -> AlignmentTemplate: ...

    @property
    def provider(self) -> str: ...

    @property
    def well(self) -> bool:
        """False while its network fails again and again."""
        ...

    def embed(self, crops: Sequence[NDArray[np.uint8]]) -> list[Embedding]:
        """One embedding for each uint8 RGB crop of the template's size, in order."""
        ...

    def close(self) -> None:
        """End its network's threads, where it has any."""
        ...


class OnnxRecogniser:
    """A recogniser from a model package."""

    def __init__(self, session: Network, manifest: RecogniserManifest) -> None:
        self._session = session
        self._manifest = manifest
        self._preprocess = manifest.input.preprocessing()
        self._template = manifest.template.template()

    @property
    def contract_id(self) -> str:
        return self._manifest.contract_id

    @property
    def dim(self) -> int:
        return self._manifest.dim

    @property
    def template(self) -> AlignmentTemplate:
        return self._template

    @property
    def provider(self) -> str:
        return self._session.provider

    @property
    def well(self) -> bool:
        return self._session.well

    def embed(self, crops: Sequence[NDArray[np.uint8]]) -> list[Embedding]:
        """One embedding for each uint8 RGB crop of the template's size, in order.

        Raises InferenceInvalidError for a feature that is not finite, zero or of a wrong length.
        """
        features_ND = self.features(np.stack(crops))
        lengths_N = norms(features_ND)
        if not np.all(np.isfinite(lengths_N)) or not np.all(lengths_N > 0):
            raise InferenceInvalidError("the network gave a feature that is zero or not finite")
        return [
            Embedding(feature, float(norm), self.contract_id)
            for feature, norm in zip(features_ND, lengths_N, strict=True)
        ]

    def close(self) -> None:
        self._session.close()

    def features(self, crops_NHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Raw features, float32 (N, D). Raises InferenceInvalidError on a wrong shape."""
        tensor = self._preprocess(crops_NHWC)
        batches = [tensor] if self._session.batchable else np.split(tensor, len(tensor))
        return np.concatenate([self._features(batch) for batch in batches])

    def _features(self, batch_NCHW: NDArray[np.float32]) -> NDArray[np.float32]:
        output = self._session.run(batch_NCHW)[0]
        count, dim = len(batch_NCHW), self._manifest.dim
        if output.shape[:1] != (count,) or output.size != count * dim:
            raise InferenceInvalidError(f"the network gave features of shape {output.shape}")
        return output.reshape(count, dim).astype(np.float32, copy=False)
