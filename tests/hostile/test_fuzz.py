"""B32 end to end: whatever is damaged, a service answers in time, without an error of its own."""

from tests.hostile.fuzz import fuzz
from tests.hostile.wire import Server

MiB = 2**20


def test_b32_damaged_images_and_bodies_end_in_an_answer(server: Server) -> None:
    tally = fuzz(f"http://127.0.0.1:{server.port}", seed=32, count=500)
    assert tally.hangs == 0
    failures = {found: n for found, n in tally.answers.items() if found[1] >= 500}
    assert failures == {}
    assert min(map(tally.family, ("image", "damaged multipart", "damaged JSON"))) >= 100
    assert tally.rss_peak - tally.rss_before < 300 * MiB
