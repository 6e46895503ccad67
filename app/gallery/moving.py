"""Moving a gallery to another recogniser: each step inside one transaction of the writer.

begin → features for every face, computed from what the vault keeps → cut over → finish. Between
the last two the way back is open. The cut-over exchanges every feature in one transaction and the
index with it, so that a search sees one side or the other, and a crash leaves one or the other.
"""

import numpy as np

from app.errors import InputError, MoveUnfinishedError, VaultUnencryptedError
from app.gallery.projections import Projections
from app.gallery.rows import galleries, moves
from app.gallery.rows.moves import Move, Other
from app.gallery.types import Gallery
from app.gallery.writer import Change, Space, Transaction

_CHUNK = 1000


def begin(
    transaction: Transaction, owner: str, name: str, contract_id: str, dim: int
) -> tuple[Gallery, Move]:
    """The gallery's move to that contract's recogniser, new or begun before.

    Raises VaultUnencryptedError, MoveUnfinishedError where it is on its way to another one, and
    InputError where it is there.
    """
    connection = transaction.connection
    gallery = galleries.get(connection, owner, name)
    if gallery.seal is None:
        raise VaultUnencryptedError("only an encrypted gallery has a vault to move by")
    found = moves.find(connection, gallery)
    if found is not None and found.contract_id != contract_id:
        raise MoveUnfinishedError(
            f"the other side of the gallery's move is contract {found.contract_id}: finish it first"
        )
    if contract_id == gallery.spec.contract_id:
        raise InputError("the gallery is of that recogniser already")
    return gallery, found or moves.begin(connection, gallery, contract_id, dim)


def put(transaction: Transaction, gallery: Gallery, move: Move, computed: list[Other]) -> None:
    """Keeps features for the other side."""
    for one in computed:
        moves.put(transaction.connection, gallery, move, one)


def cut_over(
    transaction: Transaction, owner: str, name: str, projections: Projections, *, back: bool
) -> Gallery:
    """The gallery with the two sides exchanged: forth, or `back` to where it came from.

    Raises MoveNotFoundError, and MoveUnfinishedError where it is there already, a face has no
    feature on the other side, or a job of the gallery is unfinished.
    """
    connection = transaction.connection
    gallery = galleries.get(connection, owner, name)
    move = moves.get(connection, gallery)
    if move.moved != back:
        raise MoveUnfinishedError("the gallery has " + ("not " if back else "") + "been cut over")
    if moves.has_unfinished_job(connection, gallery):
        raise MoveUnfinishedError("a job of the gallery is unfinished: wait for it, or cancel it")
    done, lost = moves.count(connection, gallery)
    if done < gallery.faces:
        raise MoveUnfinishedError(
            f"{gallery.faces - done} faces have no feature on the other side, "
            f"{lost} of them no picture in the vault to compute one from",
            waiting=gallery.faces - done,
            without_picture=lost,
        )
    ids, subjects, features = _exchanged(transaction, gallery, move)
    moves.turn(connection, gallery, move)
    revision = galleries.revision(connection, gallery)
    # Built here, so that nobody waits for it between the commit and the first search.
    index = projections.built(move.dim, revision, ids, subjects, features)
    none = np.zeros(0, np.int64)
    opens = Space(move.contract_id, move.dim, index)
    transaction.changes.append(Change(gallery.id, revision, none, none, None, opens))
    return galleries.get(connection, owner, name)


def _exchanged(
    transaction: Transaction, gallery: Gallery, move: Move
) -> tuple[list[int], list[int], list[bytes]]:
    """Ids, subjects and new features of all faces, as the index has to know them."""
    ids: list[int] = []
    subjects: list[int] = []
    features: list[bytes] = []
    after = 0
    while chunk := moves.exchange(transaction.connection, gallery, move, after, _CHUNK):
        for id_, subject_id, feature in chunk:
            ids.append(id_)
            subjects.append(subject_id)
            features.append(feature)
        after = ids[-1]
    return ids, subjects, features


def erase_other_side(transaction: Transaction, gallery: Gallery) -> bool:
    """Some of it; whether any is left. In the end the move is over."""
    left = moves.erase_some(transaction.connection, gallery, _CHUNK)
    if not left:
        moves.end(transaction.connection, gallery)
    return left
