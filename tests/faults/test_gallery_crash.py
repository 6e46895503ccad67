"""F01–F06: SIGKILL at random and at named points; nothing acknowledged may be lost.

`NORMA_KILLS=500` for the long run, `NORMA_SEED` to repeat one.
"""

import os
import random
from pathlib import Path

import pytest

from app.security.audit.chain import Entry
from app.security.audit.verify import AuditReader
from tests.faults.gallery_process import audit_directory, key_file
from tests.faults.harness import Ledger, Storm, assert_no_residue, judge, start

KILLS = int(os.environ.get("NORMA_KILLS", "16"))
SEED = int(os.environ.get("NORMA_SEED", "1"))
POINTS = (
    "before_commit",
    "after_commit",
    "after_apply",
    "snapshot_segments",
    "snapshot_manifest",
    "purge_snapshots",
    "purged",
)


@pytest.mark.timeout(0)
@pytest.mark.slow
@pytest.mark.parametrize("encrypted", [False, True])
def test_F01_to_F06_nothing_acknowledged_is_lost(tmp_path: Path, encrypted: bool) -> None:
    rng = random.Random(SEED)
    ledger = Ledger()
    data = tmp_path / "data"
    for kill in range(KILLS):
        if encrypted and kill % 5 == 0:  # a new master key, which the start takes up
            key = key_file(data)
            key.write(key.keys(None).rotated())
        point = POINTS[kill % (2 * len(POINTS))] if kill % (2 * len(POINTS)) < len(POINTS) else ""
        armed = f"{point}:kill:{rng.randint(2, 12)}" if point else ""
        process = start(data, armed)
        # A point that is never reached must not let the storm go on for ever.
        Storm(ledger, rng, process).run(kill_after=rng.randint(20, 120) if not point else 400)
        try:
            judge(data, ledger)
        except AssertionError as error:
            raise AssertionError(
                f"seed {SEED}, kill {kill}, {armed or 'random'}: {error}"
            ) from error
    # Encrypted, nobody is legible, erased or not.
    assert_no_residue(data, set(range(ledger.next_seed)) if encrypted else ledger.erased_before)
    assert ledger.acknowledged > KILLS
    if encrypted:
        _on_record(data, ledger)


def _on_record(data: Path, ledger: Ledger) -> None:
    """P10: after all these kills the audit log is whole, and knows of every acknowledged change."""
    reader = AuditReader(audit_directory(data), key_file(data))
    assert reader.verify().problems == []
    actions = [entry.fields["action"] for _, entry in reader.entries() if isinstance(entry, Entry)]
    changes = [one for one in actions if one in ("subject.enrolled", "subject.erased")]
    assert len(changes) >= ledger.changes > 0
