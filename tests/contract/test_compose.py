"""The compose files, the proxy's configuration and the dashboard, as far as they can be read."""

import itertools
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from app.gallery.types import Holdings
from app.settings import Settings
from app.telemetry.gauges import Galleries, LogLines, Queues, Ready
from app.telemetry.meters import Load
from app.telemetry.metrics import Metrics
from tests.contract.sources import ROOT
from tests.unit.app.telemetry.test_metrics import report

DOCKER = ROOT / "docker"
FILES = ("compose.yaml", "compose.gpu.yaml", "compose.full.yaml")
OURS = ("norma", "first-key")
OTHERS = ("proxy", "prometheus", "grafana")


def read(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((DOCKER / name).read_text())
    return content


def service(name: str) -> dict[str, Any]:
    [found] = [
        services[name]
        for services in (read("compose.yaml")["services"], read("compose.full.yaml")["services"])
        if name in services and "image" in services[name]
    ]
    return dict(found)


def mounts() -> Iterator[tuple[str, str, str, str]]:
    """Service, source, target and mode of every volume."""
    for name in (*OURS, *OTHERS):
        for mount in service(name).get("volumes", []):
            source, target, *mode = mount.split(":")
            yield name, source, target, *(mode or ["rw"])


@pytest.mark.parametrize("name", [*OURS, *OTHERS])
def test_every_container_has_no_more_rights_than_it_needs_s05(name: str) -> None:
    one = service(name)
    assert one["read_only"] is True
    assert one["cap_drop"] == ["ALL"]
    assert "cap_add" not in one
    assert "privileged" not in one
    assert one["security_opt"] == ["no-new-privileges:true"]
    assert int(one["user"].split(":")[0]) > 0
    assert one["ulimits"] == {"core": 0}
    assert one["mem_limit"]
    assert one["pids_limit"] <= 512
    assert one["logging"]["options"].keys() == {"max-size", "max-file"}


@pytest.mark.parametrize("name", OURS)
def test_scratch_space_is_memory_where_nothing_can_be_executed_s05(name: str) -> None:
    [mount] = service(name)["tmpfs"]
    assert mount.startswith("/tmp:")  # noqa: S108 - the container's own
    assert {"noexec", "nosuid", "nodev"} <= set(re.split("[:,]", mount))


def test_only_what_is_kept_can_be_written_s05() -> None:
    """Folders of the host are read, models among them; what is written is a named volume."""
    named = {*read("compose.yaml")["volumes"], *read("compose.full.yaml")["volumes"]}
    for name, source, target, mode in mounts():
        assert (mode == "ro") == source.startswith("./"), (name, source, target)
        assert source.startswith("./") or source in named
        assert "docker.sock" not in source
    assert ("norma", "./models", "/models", "ro") in set(mounts())


def test_every_image_can_be_pinned_and_none_is_the_latest_s05() -> None:
    for name in (*OURS, *OTHERS):
        image = service(name)["image"]
        assert re.fullmatch(r"\$\{[A-Z]+_IMAGE:-[a-z/]+:[a-z0-9.-]+\}", image), image
        assert "latest" not in image


def test_only_the_proxy_answers_other_machines() -> None:
    open_to_all = [
        name
        for name in (*OURS, *OTHERS)
        for port in service(name).get("ports", [])
        if not port.startswith("127.0.0.1:")
    ]
    assert open_to_all == ["proxy", "proxy"]
    assert read("compose.full.yaml")["networks"]["monitoring"] == {"internal": True}
    assert service("prometheus")["networks"] == ["monitoring"]


def test_nobody_is_let_in_without_a_key() -> None:
    """A first key is made before the service starts, and goes into no log."""
    for name in FILES:
        assert "NORMA_INSECURE" not in (DOCKER / name).read_text()
    started = service("norma")["depends_on"]["first-key"]["condition"]
    assert started == "service_completed_successfully"
    assert "> /first/key" in service("first-key")["command"][-1]
    assert service("first-key")["network_mode"] == "none"


def test_each_key_lies_apart_from_what_it_opens() -> None:
    """The master key not with the data, the first key where the service cannot read it."""
    places = {(name, source): target for name, source, target, _ in mounts() if name in OURS}
    assert places["norma", "data"] != places["norma", "keys"] == "/keys"
    for name in OURS:  # both write to the audit log, which is sealed with it
        assert service(name)["environment"]["NORMA_MASTER_KEY_FILE"] == "/keys/master.key"
        assert places[name, "keys"] == "/keys"
    assert places["first-key", "first-key"] == "/first"
    assert ("norma", "first-key") not in places


def test_the_engine_waits_until_the_service_has_ended() -> None:
    seconds = int(service("norma")["stop_grace_period"].removesuffix("s"))
    assert seconds > Settings().drain + Settings().grace


def test_the_settings_exist() -> None:
    """An unknown NORMA_ variable would refuse the start."""
    given = {
        variable
        for name in FILES
        for one in read(name)["services"].values()
        for variable in one.get("environment", {})
        if variable.startswith("NORMA_")
    }
    assert len(given) >= 4
    assert given <= {f"NORMA_{field.upper()}" for field in Settings.model_fields}


def test_secrets_are_files_and_no_values() -> None:
    files = {one["file"] for one in read("compose.full.yaml")["secrets"].values()}
    assert files == {"./secrets/tls.pem", "./secrets/grafana"}
    assert "docker/secrets/" in (ROOT / ".gitignore").read_text().splitlines()
    for name in FILES:
        for one in read(name)["services"].values():
            for variable, value in one.get("environment", {}).items():
                secret = re.search("PASSWORD|SECRET|TOKEN|MASTER_KEY", variable)
                assert not secret or str(value).startswith(("/run/secrets/", "/keys/")), variable


def test_the_gpu_is_reserved() -> None:
    services = read("compose.gpu.yaml")["services"]
    [device] = services["norma"]["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}
    assert services["norma"]["build"]["dockerfile"] == "docker/Dockerfile.gpu"
    assert services["first-key"]["image"] == services["norma"]["image"]


def proxy() -> str:
    return (DOCKER / "proxy" / "haproxy.cfg").read_text()


def test_the_proxy_lets_as_much_through_as_the_service_takes() -> None:
    limits = dict(re.findall(r"if (!?import) \{ req\.body_size gt (\d+) \}", proxy()))
    taken = Settings()
    assert limits == {"import": str(taken.max_import_bytes), "!import": str(taken.max_many_bytes)}


def test_the_proxy_logs_no_paths() -> None:
    """A path can hold a subject's name."""
    [line] = re.findall(r'log-format "(.*)"', proxy())
    assert not re.search(r"%(HU|HP|HPO|HQ|r|hr|hs|\[)", line)
    assert "option httplog" not in proxy()


def test_the_proxy_tells_who_called_and_believes_nobody_else() -> None:
    text = proxy()
    assert text.index("del-header X-Forwarded-For") < text.index("option forwardfor")


@pytest.fixture(scope="module")
def samples() -> dict[str, set[str]]:
    """Every sample that the service can show, and its labels."""
    metrics = Metrics()
    report(metrics)
    metrics.requests.labels("GET", "/readyz", "200").inc()
    metrics.request_seconds.labels("GET", "/readyz").observe(0.1)
    metrics.refusals.labels("overloaded").inc()
    metrics.registry.register(Queues({"workers": lambda: Load(0, 0, 1)}))
    metrics.registry.register(Galleries(lambda: {"current": Holdings(1, 1, 1)}))
    found: dict[str, set[str]] = {}
    metrics.registry.register(LogLines(lambda: 0))
    metrics.registry.register(Ready(lambda: None))
    for family in metrics.registry.collect():
        found[family.name] = {"job"}
        for sample in family.samples:
            found.setdefault(sample.name, {"job"}).update(sample.labels)
    return found


def dashboard() -> dict[str, Any]:
    path = DOCKER / "grafana" / "dashboards" / "norma.json"
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def questions() -> list[str]:
    """What the dashboard and the alerts ask Prometheus."""
    shown = [one["expr"] for panel in dashboard()["panels"] for one in panel["targets"]]
    groups = read("prometheus/alerts.yml")["groups"]
    return shown + [rule["expr"] for group in groups for rule in group["rules"]]


@pytest.mark.parametrize("question", questions())
def test_what_is_asked_of_prometheus_is_told_by_the_service(
    question: str, samples: dict[str, set[str]]
) -> None:
    asked = re.findall(r"\b((?:norma|process|haproxy|up)\w*)(?:\{([^}]*)\})?", question)
    assert asked
    ours = [(name, chosen) for name, chosen in asked if name.startswith(("norma", "process"))]
    for name, chosen in ours:
        assert name in samples
        labels = {*re.findall(r"(\w+)[=!]", chosen)}
        assert labels <= samples[name]
        for group in re.findall(r"by \(([^)]*)\)", question):
            assert {label.strip() for label in group.split(",")} <= samples[name]


def test_the_dashboard_is_found_and_asks_the_source_that_is_provisioned() -> None:
    [source] = read("grafana/provisioning/datasources/prometheus.yml")["datasources"]
    [provider] = read("grafana/provisioning/dashboards/norma.yml")["providers"]
    mounted = {source: target for _, source, target, _ in mounts()}
    assert provider["options"]["path"] == mounted["./grafana/dashboards"]
    assert mounted["./grafana/provisioning"] == "/etc/grafana/provisioning"
    assert source["url"] == "http://prometheus:9090"
    for panel in dashboard()["panels"]:
        for one in (panel, *panel["targets"]):
            assert one["datasource"] == {"type": "prometheus", "uid": source["uid"]}


def test_the_panels_do_not_lie_on_each_other() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard()["panels"]:
        at = panel["gridPos"]
        cells = {
            (at["x"] + x, at["y"] + y) for x, y in itertools.product(range(at["w"]), range(at["h"]))
        }
        assert not cells & taken
        assert max(x for x, _ in cells) < 24
        taken |= cells
    assert len({panel["id"] for panel in dashboard()["panels"]}) == len(dashboard()["panels"])


def test_prometheus_collects_from_the_ports_that_are_there() -> None:
    jobs = {
        job["job_name"]: job["static_configs"][0]["targets"]
        for job in read("prometheus/prometheus.yml")["scrape_configs"]
    }
    assert jobs["norma"] == [f"norma:{service('norma')['environment']['NORMA_METRICS_PORT']}"]
    [port] = re.findall(r"frontend metrics\n    bind :(\d+)", proxy())
    assert jobs["proxy"] == [f"proxy:{port}"]
