"""Every error that a caller can meet, with its stable code and HTTP status.

NormaError
├── InputError                    the request's content cannot be used
│   ├── image_empty 422, image_undecodable 422, image_dimensions 422
│   ├── image_unsupported 415, image_too_large 413
│   ├── request_invalid 422, json_invalid 422, body_unsupported 415, body_too_large 413
│   ├── body_timeout 408
│   ├── face_not_found 422, face_multiple 422
│   ├── quality_rejected 422      with the reasons: face_too_small, low_quality, face_clipped …
│   ├── feature_invalid 422, cursor_invalid 400
│   └── archive_invalid 422, entry_refused 422, manifest_invalid 422, of imports
├── UnauthenticatedError          unauthenticated 401: no key, or none that is good; this and the
│                                 next three are in `app.security.errors`
├── ScopeMissingError             insufficient_scope 403
├── OriginRefusedError            origin_refused 403: a web page, of a service without keys
├── LimitedError                  429 with Retry-After: key_rate_limited,
│                                 key_concurrency_limited, auth_attempts_limited,
│                                 subject_attempts_limited
├── StateError                    the request is fine, what it needs is not there
│   ├── calibration_missing 409, fmr_unsupported 422, contract_mismatch 409
│   ├── gallery_not_found 404, subject_not_found 404, enrolled_face_not_found 404
│   ├── job_not_found 404
│   ├── identify_disabled 403, policy_forbids 403, consent_missing 422
│   ├── vault_unencrypted 409, move_not_found 404, move_unfinished 409
│   ├── next_recogniser_missing 409
│   ├── gallery_exists 409, identity_conflict 409, idempotency_conflict 409, limit_reached 409
│   └── precondition_failed 412
├── StoreError                    the gallery's disk: nothing of the request was kept
│   └── storage_full 507, storage_failed 503, gallery_corrupt 503, audit_failed 503
├── BusyError                     overloaded 503 with Retry-After: nothing was begun
│   └── decode_busy 503
├── DeadlineError                 deadline_exceeded 504: queued or computed for too long
├── InferenceError                inference_failed 500, inference_invalid 500
└── StartError                    the service cannot start; never reaches HTTP
"""

from typing import ClassVar


class NormaError(Exception):
    """Base of all: a code for machines, a message for people, details as evidence."""

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500
    retry_after: int | None = None
    """Seconds after which the same request may succeed; None where repeating it is useless."""

    def __init__(self, message: str, **details: object) -> None:
        super().__init__(message)
        self.message = message
        self.details: dict[str, object] = details

    def headers(self) -> dict[str, str]:
        """What the answer carries besides its body."""
        return {} if self.retry_after is None else {"retry-after": str(self.retry_after)}


class InputError(NormaError):
    """The caller's input cannot be used."""

    code = "request_invalid"
    status = 422


class ImageEmptyError(InputError):
    """An image of zero bytes."""

    code = "image_empty"


class ImageUnsupportedError(InputError):
    """Not JPEG, PNG or WebP by its first bytes, or declared as something else."""

    code = "image_unsupported"
    status = 415


class ImageTooLargeError(InputError):
    """More bytes than an image may have."""

    code = "image_too_large"
    status = 413


class ImageUndecodableError(InputError):
    """Truncated, holed or otherwise broken; never half-decoded."""

    code = "image_undecodable"


class ImageDimensionsError(InputError):
    """Sides, area or aspect ratio outside the limits; found before decoding."""

    code = "image_dimensions"


class JsonInvalidError(InputError):
    """JSON that is malformed, ambiguous, not finite or nested too deeply."""

    code = "json_invalid"


class BodyUnsupportedError(InputError):
    """A request body of a content type that this route does not read."""

    code = "body_unsupported"
    status = 415


class BodyTooLargeError(InputError):
    """A request body over the limit."""

    code = "body_too_large"
    status = 413


class BodyTimeoutError(InputError):
    """The request body did not arrive in time."""

    code = "body_timeout"
    status = 408

    def headers(self) -> dict[str, str]:
        """What is left of the body is not waited for."""
        return {"connection": "close"}


class FaceNotFoundError(InputError):
    """No face in the image."""

    code = "face_not_found"


class FaceMultipleError(InputError):
    """Several faces where exactly one was asked for (`face_select=only`)."""

    code = "face_multiple"


class QualityRejectedError(InputError):
    """A face too poor to decide on; `details["reasons"]` says why."""

    code = "quality_rejected"


class FeatureInvalidError(InputError):
    """A caller's feature of the wrong length, with NaN, without length, or out of range."""

    code = "feature_invalid"


class CursorInvalidError(InputError):
    """A page cursor that this list did not give out."""

    code = "cursor_invalid"
    status = 400


class ArchiveInvalidError(InputError):
    """Not an archive of the kind it was sent as, damaged, or larger than it may become."""

    code = "archive_invalid"


class EntryRefusedError(InputError):
    """An archive's entry that is not a plain file: a link, a device, encrypted, an unsafe path."""

    code = "entry_refused"


class ManifestInvalidError(InputError):
    """A manifest's line that cannot be read, or that names a file which is not there."""

    code = "manifest_invalid"


class StateError(NormaError):
    """The request is well formed, but what it needs is missing or does not fit."""

    code = "state_conflict"
    status = 409


class CalibrationMissingError(StateError):
    """A decision in error rates was asked of a package that nobody has calibrated."""

    code = "calibration_missing"


class RateUnsupportedError(StateError):
    """A false match rate stricter than the calibration data can support."""

    code = "fmr_unsupported"
    status = 422


class ContractMismatchError(StateError):
    """Features of two different contract ids."""

    code = "contract_mismatch"


class GalleryNotFoundError(StateError):
    """No such gallery, or another owner's: the two answer alike."""

    code = "gallery_not_found"
    status = 404


class SubjectNotFoundError(StateError):
    """No such subject in this gallery."""

    code = "subject_not_found"
    status = 404


class EnrolledFaceNotFoundError(StateError):
    """No such face under this subject."""

    code = "enrolled_face_not_found"
    status = 404


class JobNotFoundError(StateError):
    """No such job, or another owner's."""

    code = "job_not_found"
    status = 404


class IdentifyDisabledError(StateError):
    """A search (1:N) of a gallery that was not created for it."""

    code = "identify_disabled"
    status = 403


class PolicyForbidsError(StateError):
    """Something that the gallery's policy does not leave to a request."""

    code = "policy_forbids"
    status = 403


class ConsentMissingError(StateError):
    """A subject without `consent_ref` in a gallery that requires one."""

    code = "consent_missing"
    status = 422


class MoveNotFoundError(StateError):
    """The gallery is not on its way to another recogniser."""

    code = "move_not_found"
    status = 404


class NextRecogniserMissingError(StateError):
    """There is no other recogniser for the gallery to move to."""

    code = "next_recogniser_missing"


class MoveUnfinishedError(StateError):
    """A step of a gallery's move that another one has to precede."""

    code = "move_unfinished"


class VaultUnencryptedError(StateError):
    """What is kept of photos is kept encrypted, or not at all."""

    code = "vault_unencrypted"


class GalleryExistsError(StateError):
    """A gallery of this name is there already."""

    code = "gallery_exists"


class IdentityConflictError(StateError):
    """The face to enrol looks like another subject's; `details` name it and the similarity."""

    code = "identity_conflict"


class IdempotencyConflictError(StateError):
    """An idempotency key that came before with a different request."""

    code = "idempotency_conflict"


class LimitReachedError(StateError):
    """One of the gallery's limits; `details` say which."""

    code = "limit_reached"


class PreconditionFailedError(StateError):
    """The subject or the gallery has changed since the caller read it."""

    code = "precondition_failed"
    status = 412


class StoreError(NormaError):
    """The gallery's disk failed; nothing of the request was kept."""

    code = "storage_failed"
    status = 503


class StorageFullError(StoreError):
    """No space left. Searches go on; writes succeed again once there is space."""

    code = "storage_full"
    status = 507


class StorageFailedError(StoreError):
    """An I/O or fsync error: the store is read-only until the service is restarted."""


class GalleryCorruptError(StoreError):
    """The database file is damaged; the message says how to restore it."""

    code = "gallery_corrupt"


class AuditFailedError(StoreError):
    """The audit log cannot be written: changes are refused until it can, nothing was begun."""

    code = "audit_failed"


class BusyError(NormaError):
    """All workers are taken and the queue is full; refused at once."""

    code = "overloaded"
    status = 503
    retry_after = 1


class DeadlineError(NormaError):
    """The request's time was over in the queue or at work; a result that comes late is dropped."""

    code = "deadline_exceeded"
    status = 504
    retry_after = 1


class DecodeBusyError(BusyError):
    """Decoding this image would take more memory than others leave."""

    code = "decode_busy"


class NotReadyError(NormaError):
    """The service is starting or shutting down, or something in it has failed and is replaced."""

    code = "not_ready"
    status = 503
    retry_after = 1


class InferenceFailedError(NormaError):
    """The runtime failed on this input."""

    code = "inference_failed"


class InferenceInvalidError(NormaError):
    """The network gave NaN, a zero feature or a wrong shape; never stored, never compared."""

    code = "inference_invalid"


class StartError(NormaError):
    """The service cannot start as configured; the message says what to change."""

    code = "start_refused"
