"""`norma keys …`: who may call. A running service follows within a second."""

import re
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import orjson
import typer
from rich.console import Console

from app.commands.common import out, record, settings
from app.errors import InputError, StartError
from app.gallery import names
from app.security import scopes, uses
from app.security.audit.event import Detail, Event
from app.security.caller import LOCAL_OWNER
from app.security.keys import Key, KeySpec, KeyStore
from app.security.scopes import Scope
from app.security.token import Token

keys = typer.Typer(help="Who may call the service.", no_args_is_help=True)

_SECONDS: Final = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800, "y": 31_557_600}
_SPAN: Final = re.compile(r"([1-9]\d{0,5})([mhdwy])")
_notes = Console(stderr=True, highlight=False, soft_wrap=True)


def _span(text: str | None) -> int | None:
    """Seconds of "12h" and the like. As typer's parsers may raise: BadParameter."""
    if text is None:
        return None
    found = _SPAN.fullmatch(text)
    if found is None:
        raise typer.BadParameter(f"{text!r} is not a time like 30m, 12h, 90d, 8w or 1y")
    return int(found[1]) * _SECONDS[found[2]]


Name = Annotated[str, typer.Argument(help="What the key is for, for people.", show_default=False)]
KeyId = Annotated[str, typer.Argument(help="Id, or the key itself.", show_default=False)]
Span = Annotated[str | None, typer.Option(help="30m, 12h, 90d, 8w, 1y; without, for ever.")]


@keys.command()
def create(
    name: Name,
    scope: Annotated[
        str, typer.Option("--scopes", help=f"Of {', '.join(Scope)}, with commas; or all.")
    ],
    owner: Annotated[str, typer.Option(help="Whose galleries it sees.")] = LOCAL_OWNER,
    expires: Span = None,
    rate: Annotated[
        float | None, typer.Option(min=0.01, help="Requests a second, if not NORMA_KEY_RATE.")
    ] = None,
    concurrency: Annotated[
        int | None, typer.Option(min=1, help="Requests at once, if not NORMA_KEY_CONCURRENCY.")
    ] = None,
) -> None:
    """Make a key and print it, this once."""
    now = int(time.time())
    lasts = _span(expires)
    spec = KeySpec(
        name=_line(name),
        owner=names.checked(owner, "key's owner"),
        scopes=scopes.parse(scope.split(",")),
        expires_at=None if lasts is None else now + lasts,
        rate=rate,
        concurrency=concurrency,
    )
    made = _store().create(spec, now)
    record(_event("key.created", made.key_id, spec))
    _print_new(made, spec)


@keys.command("list")
def listing(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Every key that there has been, without its secret."""
    now = time.time()
    store = _store()
    used = uses.read(store.uses)
    rows = [_row(key, now, used.get(key.id)) for key in store.all()]
    if as_json:
        out.print(orjson.dumps(rows).decode(), markup=False)
        return
    for row in rows:
        until = f"until {row['expires_at']}" if row["expires_at"] else "without end"
        out.print(f"{row['id']}  {row['state']:<8}{row['name']}", markup=False)
        out.print(f"    of {row['owner']}: {' '.join(row['scopes'])}", markup=False)
        out.print(f"    {until}, last used {row['used_at'] or 'never'}", markup=False)


@keys.command()
def revoke(key: KeyId) -> None:
    """End a key for good; a running service refuses it within a second."""
    revoked = _known(_store().revoke(_id(key), int(time.time())), key)
    record(_event("key.revoked", revoked.id, revoked.spec))
    out.print(f"revoked {revoked.id} ({revoked.spec.name})", markup=False)


@keys.command()
def rotate(
    key: KeyId,
    old_expires: Annotated[
        str | None, typer.Option(help="When the old key ends, like 24h; else once it is revoked.")
    ] = None,
) -> None:
    """Make a second key with the same name, owner, scopes, limits and lifetime; both work until
    the old one is revoked."""
    store, now = _store(), int(time.time())
    overlap = _span(old_expires)
    old = _known(next((one for one in store.all() if one.id == _id(key)), None), key)
    if (state := old.refused_at(now)) is not None:
        raise InputError(f"key {old.id} is {state}: make a new one with `norma keys create`")
    ends = old.spec.expires_at
    spec = replace(old.spec, expires_at=None if ends is None else now + ends - old.created_at)
    made = store.create(spec, now)
    record(_event("key.created", made.key_id, spec, {"instead_of": old.id}))
    if overlap is not None:
        store.expire(old.id, now + overlap)
    _print_new(made, spec)
    _notes.print(f"the old key {old.id} works until `norma keys revoke {old.id}`", markup=False)


def _event(
    action: str, key_id: str, spec: KeySpec, more: Mapping[str, Detail] | None = None
) -> Event:
    scopes = " ".join(sorted(spec.scopes))
    return Event(action, spec.owner, details={"key": key_id, "scopes": scopes, **(more or {})})


def _store() -> KeyStore:
    return KeyStore(settings().access_dir)


def _id(given: str) -> str:
    token = Token.parse(given)
    return given if token is None else token.key_id


def _known(key: Key | None, given: str) -> Key:
    if key is None:
        raise StartError(f"there is no key {_id(given)}: see `norma keys list`")
    return key


def _line(name: str) -> str:
    if not name.strip() or len(name) > 100 or not name.isprintable():
        raise InputError("a key's name is one line of at most 100 characters")
    return name


def _print_new(token: Token, spec: KeySpec) -> None:
    """The key alone on the standard output, so that it can be piped to where it is kept."""
    out.print(token.text, markup=False)
    _notes.print(
        f"key {token.key_id} of {spec.owner}: {' '.join(sorted(spec.scopes))}. It is shown this "
        "once; what is kept cannot be turned back into it.",
        markup=False,
    )


def _row(key: Key, now: float, used_at: int | None) -> dict[str, Any]:
    spec = key.spec
    return {
        "id": key.id,
        "name": spec.name,
        "owner": spec.owner,
        "scopes": sorted(spec.scopes),
        "state": key.refused_at(now) or "active",
        "rate": spec.rate,
        "concurrency": spec.concurrency,
        "created_at": _time(key.created_at),
        "expires_at": _time(spec.expires_at),
        "revoked_at": _time(key.revoked_at),
        "used_at": _time(used_at),
    }


def _time(at: int | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat(" ", "minutes")
