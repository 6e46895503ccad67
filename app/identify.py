"""Photos against a gallery: who is it (1:N), and is it this subject (1:1)?"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from app import decision
from app.domain import (
    FaceSelect,
    IdentifyThreshold,
    Observation,
    QualityPolicy,
    Verdict,
    VerifyThreshold,
)
from app.errors import NormaError
from app.gallery.aggregate import Likeness, Score
from app.gallery.enrolment import check_contract
from app.gallery.search import SearchOptions
from app.gallery.service import check_identify
from app.gallery.types import Aggregate, Filter, Gallery, SearchAnswer
from app.inference.turn import Turn
from app.operating import Asked, claim_threshold, search_threshold
from app.service import Service


@dataclass(frozen=True, slots=True)
class Identification:
    """One face of the photo, and who is near it; None where it was too poor to search with."""

    observed: Observation
    answer: SearchAnswer | None


@dataclass(frozen=True, slots=True)
class Identified:
    """Every face asked for with its candidates, the threshold that decides among them, what
    happened to poor faces, and the space that all is of."""

    faces: list[Identification]
    threshold: IdentifyThreshold
    quality: QualityPolicy
    contract_id: str


@dataclass(frozen=True, slots=True)
class ClaimChecked:
    """A photo held against the subject that it is said to show."""

    observed: Observation
    likeness: Likeness
    threshold: VerifyThreshold
    verdict: Verdict
    quality: QualityPolicy
    contract_id: str


@dataclass(frozen=True, slots=True)
class Query:
    """What to look at in the photo. `how` None looks at every face; `policy` None leaves poor
    faces to the gallery."""

    how: FaceSelect | None
    policy: QualityPolicy | None


@dataclass(frozen=True, slots=True)
class IdentifiedEach:
    """`Identified` of several photos by name; a photo that cannot be searched with is an error."""

    items: dict[str, list[Identification] | NormaError]
    threshold: IdentifyThreshold
    quality: QualityPolicy
    contract_id: str


@dataclass(frozen=True, slots=True)
class _Search:
    """What has been settled before any photo is looked at."""

    service: Service
    gallery: Gallery
    options: SearchOptions
    threshold: IdentifyThreshold
    policy: QualityPolicy

    async def each(self, observed: Sequence[Observation]) -> list[Identification]:
        return list(await asyncio.gather(*map(self._one, observed)))

    async def _one(self, observed: Observation) -> Identification:
        if self.policy is QualityPolicy.REJECT and observed.quality.reasons:
            return Identification(observed, None)
        service, feature = self.service, observed.embedding.feature
        place = (self.gallery.owner, self.gallery.name)
        answer = await service.gallery.run(
            lambda g: g.search(*place, feature, service.contract_id, self.options)
        )
        found = answer.top is not None and answer.top >= self.threshold.value
        if answer.top is not None:
            service.metrics.searched(answer.top, found)
        if self.options.filter == Filter():  # part of a gallery says little about strangers
            top, norm = None if found else answer.top, observed.embedding.norm
            await service.gallery.run(lambda g: g.health.note(self.gallery, top, norm))
        return Identification(observed, answer)


async def _prepared(
    service: Service, place: tuple[str, str], query: Query, options: SearchOptions, asked: Asked
) -> _Search:
    gallery, own = await service.gallery.run(lambda g: g.gallery_and_rates(*place))
    check_identify(gallery)
    service = service.speaking(gallery.spec.contract_id)
    check_contract(gallery, service.contract_id)
    policy = gallery.spec.policy.query.granted(query.policy, "query")
    threshold = search_threshold(service, gallery, gallery.faces, asked, own)
    return _Search(service, gallery, options, threshold, policy)


async def identify(
    service: Service,
    place: tuple[str, str],
    photo: bytes,
    query: Query,
    options: SearchOptions,
    asked: Asked,
    turn: Turn,
) -> Identified:
    """Each face asked for with its candidates.

    `place` is owner and gallery. Raises IdentifyDisabledError, ContractMismatchError,
    PolicyForbidsError and the threshold's errors before the photo is looked at. With every face
    asked for, a poor one is not an error: it comes back unsearched.
    """
    search = await _prepared(service, place, query, options, asked)
    observed = await _observe(search.service, photo, query.how, search.policy, turn)
    faces = await search.each(observed)
    return Identified(faces, search.threshold, search.policy, search.service.contract_id)


async def identify_each(
    service: Service,
    place: tuple[str, str],
    photos: Mapping[str, bytes],
    query: Query,
    options: SearchOptions,
    asked: Asked,
    turn: Turn,
) -> IdentifiedEach:
    """As `identify`, of each photo by its name; one that fails costs the others nothing."""
    search = await _prepared(service, place, query, options, asked)
    looked = await _observe_each(search.service, photos, query.how, search.policy, turn)

    async def one(found: list[Observation] | NormaError) -> list[Identification] | NormaError:
        if isinstance(found, NormaError):
            return found
        try:
            return await search.each(found)
        except NormaError as error:
            return error

    items = dict(zip(looked, await asyncio.gather(*map(one, looked.values())), strict=True))
    return IdentifiedEach(items, search.threshold, search.policy, search.service.contract_id)


async def check_claim(
    service: Service,
    place: tuple[str, str],
    subject: str,
    photo: bytes,
    query: Query,
    aggregate: Aggregate,
    asked: Asked,
    turn: Turn,
) -> ClaimChecked:
    """1:1 against an enrolled subject; the gallery need not allow identification.

    Decided exactly as `Service.verify` decides on two photos, quality-aware scores included.
    Raises PolicyForbidsError, the threshold's errors, what `GalleryService.likeness` raises, and
    the photo's errors.
    """
    gallery = await service.gallery.run(lambda g: g.gallery(*place))
    service = service.speaking(gallery.spec.contract_id)
    policy = gallery.spec.policy.query.granted(query.policy, "query")
    threshold = claim_threshold(service, gallery, asked)
    await service.gallery.run(lambda g: g.subject(*place, subject))
    [observed] = await _observe(service, photo, query.how, policy, turn)
    score = _score(service, observed, threshold)
    embedding = observed.embedding
    likeness = await service.gallery.run(
        lambda g: g.likeness(
            *place, subject, embedding.feature, embedding.contract_id, aggregate, score
        )
    )
    verdict = decision.verdict(likeness.score, threshold)
    return ClaimChecked(observed, likeness, threshold, verdict, policy, service.contract_id)


def _score(service: Service, observed: Observation, threshold: VerifyThreshold) -> Score:
    """How a face of the subject, of some norm, scores against the photo."""
    scoring = service.calibration.scoring if service.calibration else None
    judge, quality = service.pipeline.judge, observed.quality.score

    def score(similarity: float, norm: float) -> float:
        return decision.pair_score(similarity, quality, judge.score(norm), threshold, scoring)

    return score


async def _observe(
    service: Service, photo: bytes, how: FaceSelect | None, policy: QualityPolicy, turn: Turn
) -> list[Observation]:
    if how is not None:
        return [await service.observe(photo, how, policy, "query", turn)]
    jobs = [partial(service.pipeline.observe_all, photo, "query")]
    [observed] = await service.engine.run_all(jobs, turn)
    return observed


async def _observe_each(
    service: Service,
    photos: Mapping[str, bytes],
    how: FaceSelect | None,
    policy: QualityPolicy,
    turn: Turn,
) -> dict[str, list[Observation] | NormaError]:
    if how is not None:
        found = await service.observe_each(photos, how, policy, turn)
        return {name: one if isinstance(one, NormaError) else [one] for name, one in found.items()}
    jobs = [partial(service.pipeline.observe_all, photo, "query") for photo in photos.values()]
    return dict(zip(photos, await service.engine.run_each(jobs, turn), strict=True))
