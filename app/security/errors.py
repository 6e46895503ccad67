"""Who is refused at the door, and why. The tree is drawn in `app.errors`."""

import math

from app.errors import NormaError


class UnauthenticatedError(NormaError):
    """No key, or one that is malformed, unknown, revoked or expired: the answer does not say which.

    `reason` and `key_id` are for the log.
    """

    code = "unauthenticated"
    status = 401

    def __init__(self, message: str, reason: str, key_id: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.key_id = key_id

    def headers(self) -> dict[str, str]:
        """The challenge of RFC 6750, section 3."""
        given = "" if self.reason == "none" else ', error="invalid_token"'
        return {"www-authenticate": f'Bearer realm="norma"{given}'}


class ScopeMissingError(NormaError):
    """The key is good, but not for this; `details["scopes"]` are those that it lacks."""

    code = "insufficient_scope"
    status = 403

    def headers(self) -> dict[str, str]:
        """As RFC 6750, section 3.1, has it."""
        return {"www-authenticate": 'Bearer realm="norma", error="insufficient_scope"'}


class OriginRefusedError(NormaError):
    """A web page of another host, where the service needs no keys."""

    code = "origin_refused"
    status = 403


class LimitedError(NormaError):
    """Too often; the code says which limit. Nothing was begun."""

    status = 429

    def __init__(self, message: str, wait: float) -> None:
        """`wait` is in seconds."""
        super().__init__(message)
        self.retry_after = max(1, math.ceil(wait))


class KeyRateLimitedError(LimitedError):
    """More requests a second than the key may send."""

    code = "key_rate_limited"


class KeyConcurrencyLimitedError(LimitedError):
    """More requests at once than the key may have running."""

    code = "key_concurrency_limited"


class AuthAttemptsLimitedError(LimitedError):
    """Too many bad keys from one address. A good key is not held up by others' bad ones."""

    code = "auth_attempts_limited"


class SubjectAttemptsLimitedError(LimitedError):
    """Too many photos held against one subject: so many tries find a face that passes."""

    code = "subject_attempts_limited"
