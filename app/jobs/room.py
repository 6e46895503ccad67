"""Jobs inside the service: put together here, started and stopped with it."""

from dataclasses import dataclass
from typing import Self

from app.errors import StorageFullError
from app.jobs import migration
from app.jobs.imports import KIND, Importer, ImportOptions
from app.jobs.ledger import Ledger, Request
from app.jobs.migration import Migrator
from app.jobs.runner import JobRunner, Work
from app.jobs.sources.entries import SourceLimits
from app.jobs.sources.reading import entries
from app.jobs.spool import Spools, SpoolWriter
from app.jobs.types import Job, NewJob
from app.service import Service

PACKED = 10
"""How many times its own size an archive may unpack to; photos do not shrink by much."""


@dataclass(frozen=True, slots=True)
class Jobs:
    """All that requests need."""

    ledger: Ledger
    spools: Spools
    runner: JobRunner
    limits: SourceLimits
    migrator: Migrator

    @classmethod
    def of(cls, service: Service) -> Self:
        settings = service.settings
        ledger = Ledger(service.gallery, settings.max_jobs)
        spools = Spools(settings.gallery_dir / "spool")
        limits = SourceLimits(
            entry_bytes=settings.max_image_bytes,
            entries=settings.max_import_items,
            expanded_bytes=PACKED * settings.max_import_bytes,
        )
        importer = Importer(service, ledger, spools, limits)
        migrator = Migrator(service, ledger)
        works: dict[str, Work] = {KIND: importer, migration.KIND: migrator}
        return cls(ledger, spools, JobRunner(ledger, spools, works), limits, migrator)

    def begin(self, spool: SpoolWriter, options: ImportOptions) -> None:
        """Finishes the spool, and sees whether it can be begun to be read.

        Raises ArchiveInvalidError, ManifestInvalidError, StorageFullError.
        """
        try:
            spool.finish()
        except OSError as error:
            raise StorageFullError("no space left for the upload; nothing was kept") from error
        with spool.reopened() as file:
            next(entries(options.format, file, options.layout, self.limits), None)

    async def queue(
        self,
        owner: str,
        gallery: str,
        spool: SpoolWriter,
        options: ImportOptions,
        request: Request | None,
    ) -> Job:
        """The job of a spool that has been begun, or the one that the same request made before.

        Raises as `Ledger.create`.
        """
        new = NewJob(spool.uid, KIND, gallery, options.to_json(), spool.secret)
        job = await self.ledger.create(owner, new, request)
        if job.uid != spool.uid:
            spool.discard()
        self.runner.wake()
        return job
