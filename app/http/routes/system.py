"""What runs here, and whether it runs."""

from typing import Literal

from fastapi import APIRouter, Request

from app.http.access import needs
from app.http.deps import ServiceDep, running_service
from app.http.openapi import CALLER_ERRORS, errors
from app.http.routing import StrictRoute
from app.http.schemas import LicenceOut, ModelOut, ModelsOut, Out
from app.security.scopes import Scope
from app.service import InstalledModel

router = APIRouter(route_class=StrictRoute)


class HealthOut(Out):
    status: Literal["ok"] = "ok"


class ReadyOut(Out):
    status: Literal["ready"] = "ready"
    detector: str
    recogniser: str
    workers: int


@router.get("/healthz", tags=["system"], summary="Is the process alive?", responses=errors(503))
async def healthz(request: Request) -> HealthOut:
    """200 as long as the event loop turns, and no worker or network has failed for good: then only
    a restart helps."""
    if running := running_service(request):
        running.engine.check_alive()
    return HealthOut()


@router.get("/readyz", tags=["system"], summary="Can it serve?", responses=errors(503))
async def readyz(service: ServiceDep) -> ReadyOut:
    """200 once packages are verified, golden vectors reproduced and workers running."""
    service.check_ready()
    return ReadyOut(
        detector=service.detector_package.name,
        recogniser=service.recogniser_package.name,
        workers=service.engine.workers,
    )


@router.get(
    "/v1/models",
    tags=["system"],
    summary="Installed packages",
    dependencies=[needs(Scope.READ)],
    responses=errors(*CALLER_ERRORS, 503),
)
def models(service: ServiceDep) -> ModelsOut:
    """Every installed package with its licence and training data; which ones are in use."""
    usable, unusable = service.models()
    return ModelsOut(models=[_model(one) for one in usable], unusable=unusable)


def _model(one: InstalledModel) -> ModelOut:
    manifest = one.manifest
    return ModelOut(
        name=manifest.name,
        kind=manifest.kind,
        version=manifest.version,
        description=manifest.description,
        in_use=one.provider is not None,
        source=manifest.source,
        licence=LicenceOut(**manifest.licence.model_dump()),
        training_data=manifest.training.data,
        loss=manifest.training.loss,
        contract_id=getattr(manifest, "contract_id", None),
        dim=getattr(manifest, "dim", None),
        calibrated=one.calibration is not None,
        quality_basis=one.quality.basis if one.quality else None,
        provider=one.provider,
    )
