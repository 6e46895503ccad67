"""What the galleries' routes ask for: whose they are, under which conditions."""

from typing import Annotated

from fastapi import Depends, Header, Path, Query

from app.errors import InputError
from app.http.access import CallerDep
from app.http.gallery.schemas import Name


async def owner(caller: CallerDep) -> str:
    """Whose galleries these are: the owner of the caller's key."""
    return caller.owner


OwnerDep = Annotated[str, Depends(owner)]
GalleryName = Annotated[Name, Path(description="The gallery's name.")]
SubjectId = Annotated[Name, Path(description="The caller's own id of the subject.")]
FaceId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$", description="Id of an enrolled face.")]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="idempotency-key",
        pattern=r"^[\x21-\x7e]{1,128}$",
        description="The same key with the same request adds nothing again, for a day.",
    ),
]
Cursor = Annotated[
    str | None, Query(max_length=512, description="`next_cursor` of the page before.")
]
Limit = Annotated[int, Query(ge=1, le=1000)]


_ETAG = r'^"[0-9]{1,15}"$'


async def expected_version(
    if_match: Annotated[
        str | None, Header(pattern=_ETAG, description='The ETag expected, as "3".')
    ] = None,
    if_none_match: Annotated[
        str | None, Header(pattern=r"^\*$", description="* where it must not exist yet.")
    ] = None,
) -> int | None:
    """The version that a conditional request names: 0 for none at all, None for any.

    Raises InputError for other conditions.
    """
    if if_match is None and if_none_match is None:
        return None
    if if_match is None and if_none_match == "*":
        return 0
    if if_match is None or if_none_match is not None:
        raise InputError('conditions are If-Match: "VERSION" or If-None-Match: *')
    return int(if_match.strip('"'))


VersionDep = Annotated[int | None, Depends(expected_version)]
