"""Photos against a gallery: who is it (1:N), and is it this subject (1:1)?"""

import asyncio
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
from app.gallery.enrolment import check_contract
from app.gallery.search import SearchOptions
from app.gallery.service import check_identify
from app.gallery.types import Aggregate, SearchAnswer
from app.service import Service


@dataclass(frozen=True, slots=True)
class Identification:
    """One face of the photo, and who is near it; None where it was too poor to search with."""

    observed: Observation
    answer: SearchAnswer | None


@dataclass(frozen=True, slots=True)
class ClaimChecked:
    """A photo held against the subject that it is said to show."""

    observed: Observation
    similarity: float
    threshold: VerifyThreshold
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Query:
    """What to look at in the photo. `how` None looks at every face."""

    how: FaceSelect | None
    policy: QualityPolicy


async def identify(
    service: Service,
    place: tuple[str, str],
    photo: bytes,
    query: Query,
    options: SearchOptions,
    rate: tuple[float | None, float | None],
) -> tuple[list[Identification], IdentifyThreshold]:
    """Each face asked for with its candidates, and the threshold that decides among them.

    `place` is owner and gallery, `rate` an FPIR or a cosine. Raises IdentifyDisabledError,
    ContractMismatchError and the threshold's errors before the photo is looked at. With every
    face asked for, a poor one is not an error: it comes back unsearched.
    """
    contract_id = service.pipeline.recogniser.contract_id
    gallery = await service.gallery.run(lambda g: g.gallery(*place))
    check_identify(gallery)
    check_contract(gallery, contract_id)
    threshold = service.identify_threshold(*rate, gallery.faces)

    async def search(observed: Observation) -> Identification:
        if query.policy is QualityPolicy.REJECT and observed.quality.reasons:
            return Identification(observed, None)
        feature = observed.embedding.feature
        answer = await service.gallery.run(
            lambda g: g.search(*place, feature, contract_id, options)
        )
        if answer.top is not None:
            service.metrics.searched(answer.top)
        return Identification(observed, answer)

    observed = await _observe(service, photo, query)
    return list(await asyncio.gather(*map(search, observed))), threshold


async def check_claim(
    service: Service,
    place: tuple[str, str],
    subject: str,
    photo: bytes,
    query: Query,
    aggregate: Aggregate,
    threshold: VerifyThreshold,
) -> ClaimChecked:
    """1:1 against an enrolled subject; the gallery need not allow identification.

    Raises what `GalleryService.similarity` raises, and the photo's errors.
    """
    contract_id = service.pipeline.recogniser.contract_id
    await service.gallery.run(lambda g: g.subject(*place, subject))
    [observed] = await _observe(service, photo, query)
    feature = observed.embedding.feature
    similarity = await service.gallery.run(
        lambda g: g.similarity(*place, subject, feature, contract_id, aggregate)
    )
    return ClaimChecked(observed, similarity, threshold, decision.verdict(similarity, threshold))


async def _observe(service: Service, photo: bytes, query: Query) -> list[Observation]:
    if query.how is not None:
        return [await service.observe(photo, query.how, query.policy, "query")]
    jobs = [partial(service.pipeline.observe_all, photo, "query")]
    [observed] = await service.pool.run_all(jobs)
    return observed
