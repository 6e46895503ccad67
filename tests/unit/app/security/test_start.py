"""A17: a service that would let strangers in does not start."""

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from app.errors import StartError
from app.security.keys import KeySpec, KeyStore
from app.security.scopes import ALL
from app.security.start import open_guard, terms
from app.settings import Settings

EVERYWHERE = "0.0.0.0"  # noqa: S104


def settings(directory: Path, **given: Any) -> Settings:  # noqa: ANN401 - values of any setting
    return Settings(data_dir=directory, **given)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost"])
def test_a17_without_keys_it_starts_on_loopback(tmp_path: Path, host: str) -> None:
    with closing(open_guard(settings(tmp_path, host=host))) as guard:
        assert guard.ring.guarded() is False
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("host", [EVERYWHERE, "::", "192.0.2.1", "example.org", "127.0.0.1.nip.io"])
def test_a17_without_keys_it_starts_nowhere_else(tmp_path: Path, host: str) -> None:
    with pytest.raises(StartError, match="there are no keys"):
        open_guard(settings(tmp_path, host=host))
    with closing(open_guard(settings(tmp_path, host=host, insecure=True))) as guard:
        assert guard.ring.guarded() is False


def test_with_a_key_it_starts_everywhere_and_insecure_opens_nothing(tmp_path: Path) -> None:
    KeyStore(settings(tmp_path).access_dir).create(KeySpec("x", "mine", ALL), 0)
    for insecure in (False, True):
        chosen = settings(tmp_path, host=EVERYWHERE, insecure=insecure)
        with closing(open_guard(chosen)) as guard:
            assert guard.ring.guarded() is True


def test_the_limits_are_the_settings(tmp_path: Path) -> None:
    chosen = terms(settings(tmp_path, key_rate=0.1, claims_per_minute=30, bad_keys_per_minute=6))
    assert (chosen.requests.per_second, chosen.requests.burst) == (0.1, 1)
    assert (chosen.claims.per_second, chosen.claims.burst) == (0.5, 30)
    assert (chosen.bad_keys.per_second, chosen.bad_keys.burst) == (0.1, 6)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("10.0.0.1", ["10.0.0.1/32"]),
        ("10.0.0.0/8, fd00::/8,", ["10.0.0.0/8", "fd00::/8"]),
    ],
)
def test_trusted_proxies_are_a_list(
    monkeypatch: pytest.MonkeyPatch, text: str, found: list[str]
) -> None:
    monkeypatch.setenv("NORMA_TRUSTED_PROXIES", text)
    assert list(map(str, Settings().trusted_proxies)) == found


@pytest.mark.parametrize("text", ["0.0.0.0/0", "10.0.0.1,::/0", "proxy", "10.0.0.1/8"])
def test_everybody_cannot_be_trusted(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("NORMA_TRUSTED_PROXIES", text)
    with pytest.raises(ValueError, match=r"(?i)trusted_proxies"):
        Settings()
