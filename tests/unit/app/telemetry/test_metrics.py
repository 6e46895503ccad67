"""What is reported arrives in the registry, under labels that stay few."""

from collections.abc import Mapping

from prometheus_client import generate_latest

from app.errors import NormaError, NotReadyError
from app.gallery.types import Holdings
from app.telemetry.gauges import Galleries, LogLines, Queues, Ready
from app.telemetry.meters import SILENT, Load, Meters
from app.telemetry.metrics import MOST_CAUSES, Build, Metrics, Stage
from tests.unit.app.telemetry.conftest import Read


def report(meters: Meters) -> None:
    """Every report once."""
    meters.stage("decode", 1.0, 1.02)
    meters.waited("workers", 0.3)
    meters.dropped("recogniser", "deadline")
    meters.batch("recogniser", 5)
    meters.undecodable("SyntaxError")
    meters.judged("enrol", 12.5, 34.0, ("blurred", "face_clipped"))
    meters.searched(0.61, found=True)


def test_every_report_is_counted(metrics: Metrics, read: Read) -> None:
    report(metrics)
    assert read("norma_stage_seconds_count", stage="decode") == 1
    assert read("norma_stage_seconds_bucket", stage="decode", le="0.01") == 0
    assert read("norma_stage_seconds_bucket", stage="decode", le="0.025") == 1
    assert read("norma_queue_wait_seconds_sum", queue="workers") == 0.3
    assert read("norma_queue_dropped_total", queue="recogniser", reason="deadline") == 1
    assert read("norma_batch_items_sum", network="recogniser") == 5
    assert read("norma_images_undecodable_total", cause="SyntaxError") == 1
    assert read("norma_face_quality_sum", use="enrol") == 34
    assert read("norma_faces_poor_total", use="enrol", reason="blurred") == 1
    assert read("norma_faces_poor_total", use="enrol", reason="face_clipped") == 1
    assert read("norma_identify_top_score_bucket", outcome="found", le="0.6") == 0
    assert read("norma_identify_top_score_bucket", outcome="found", le="0.65") == 1


def test_a_face_without_a_score_is_no_zero(metrics: Metrics, read: Read) -> None:
    metrics.judged("query", 3.0, None, ())
    assert read("norma_face_quality_count", use="query") is None


def test_silence_takes_every_report() -> None:
    report(SILENT)


def test_services_in_one_process_count_apart(metrics: Metrics, read: Read) -> None:
    report(Metrics())
    assert read("norma_batch_items_count", network="recogniser") is None


def test_decoders_cannot_fill_the_memory_with_class_names(metrics: Metrics, read: Read) -> None:
    for n in range(3 * MOST_CAUSES):
        metrics.undecodable(f"Error{n}")
    metrics.undecodable("Error0")
    causes = [
        sample.labels["cause"]
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name == "norma_images_undecodable_total"
    ]
    assert len(causes) == MOST_CAUSES + 1
    assert read("norma_images_undecodable_total", cause="Error0") == 2
    assert read("norma_images_undecodable_total", cause="other") == 2 * MOST_CAUSES


def test_traces_hear_of_stages_too() -> None:
    heard: list[tuple[Stage, float, float]] = []
    metrics = Metrics([lambda *stage: heard.append(stage)])
    metrics.stage("embed", 2.0, 2.5)
    assert heard == [("embed", 2.0, 2.5)]


def test_queues_are_read_when_asked(metrics: Metrics, read: Read) -> None:
    now = [Load(1, 0, 6)]
    metrics.registry.register(Queues({"workers": lambda: now[0]}))
    assert read("norma_queue_waiting", queue="workers") == 0
    now[0] = Load(2, 4, 6)
    assert read("norma_queue_running", queue="workers") == 2
    assert read("norma_queue_waiting", queue="workers") == 4
    assert read("norma_queue_places", queue="workers") == 6


def test_galleries_are_counted_by_whose_contract_they_have(metrics: Metrics, read: Read) -> None:
    found: Mapping[str, Holdings] = {"current": Holdings(2, 30, 50), "other": Holdings(1, 4, 5)}
    metrics.registry.register(Galleries(lambda: found))
    assert read("norma_enrolled_faces", contract="current") == 50
    assert read("norma_enrolled_subjects", contract="other") == 4
    assert read("norma_enrolled_galleries", contract="current") == 2


def test_readiness_is_asked_for_each_time(metrics: Metrics, read: Read) -> None:
    problems: list[NormaError] = []

    def check() -> None:
        if problems:
            raise problems[0]

    metrics.registry.register(Ready(check))
    assert read("norma_ready") == 1
    problems.append(NotReadyError("the store has failed"))
    assert read("norma_ready") == 0


def test_lost_log_lines_are_counted(metrics: Metrics, read: Read) -> None:
    metrics.registry.register(LogLines(lambda: 3))
    assert read("norma_log_lines_lost_total") == 3


def test_it_says_what_runs(metrics: Metrics) -> None:
    metrics.name(Build("1.2", "yunet", "sface", "c1-abc", "CPUExecutionProvider"))
    page = generate_latest(metrics.registry).decode()
    assert 'recogniser="sface"' in page
    assert 'version="1.2"' in page


def test_the_process_is_measured(metrics: Metrics) -> None:
    page = generate_latest(metrics.registry).decode()
    assert "process_resident_memory_bytes " in page
    assert "process_open_fds " in page
