"""The guard of a service, from its settings; refuses to start where nobody would be kept out."""

from app.errors import StartError
from app.security.guard import Guard, Terms
from app.security.keyring import KeyRing
from app.security.keys import KeyStore
from app.security.limits import Rate
from app.settings import Settings


def open_guard(settings: Settings) -> Guard:
    """Raises StartError where other machines could call without a key, or the keys are unusable."""
    ring = KeyRing(KeyStore(settings.access_dir))
    if not (settings.loopback or settings.insecure or ring.guarded()):
        raise StartError(
            f"NORMA_HOST={settings.host} is reachable from other machines, and there are no keys: "
            "make one with `norma keys create`, bind 127.0.0.1, or set NORMA_INSECURE=1 behind a "
            "proxy that authenticates"
        )
    return Guard(ring, terms(settings))


def terms(settings: Settings) -> Terms:
    """The limits that the settings set."""
    return Terms(
        requests=Rate(settings.key_rate, max(1, round(2 * settings.key_rate))),
        at_once=settings.key_concurrency,
        bad_keys=_per_minute(settings.bad_keys_per_minute),
        claims=_per_minute(settings.claims_per_minute),
    )


def _per_minute(count: float) -> Rate:
    return Rate(count / 60, max(1, round(count)))
