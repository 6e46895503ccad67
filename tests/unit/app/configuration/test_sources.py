"""Where settings come from, who wins, and what is said of mistakes."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from app.configuration.sources import Given, gather, load, mistakes, unused
from app.errors import StartError
from app.settings import Settings

Environment = Mapping[str, str]


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of whoever runs the tests."""
    for name in Settings.model_fields:
        monkeypatch.delenv(f"NORMA_{name.upper()}", raising=False)


@pytest.fixture
def set_to(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> "SetTo":
    return SetTo(monkeypatch, tmp_path / "norma.toml")


class SetTo:
    """Settings as an operator gives them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
        self._monkeypatch = monkeypatch
        self.path = path

    def __call__(self, file: str | None = None, **environment: str) -> Given:
        if file is not None:
            self.path.write_text(file)
            self.path.chmod(0o600)
            self._monkeypatch.setenv("NORMA_CONFIG", str(self.path))
        for name, value in environment.items():
            self._monkeypatch.setenv(name, value)
        return gather({})


def test_without_anything_the_defaults_hold(set_to: SetTo) -> None:
    given = set_to()
    assert load(given) == Settings()
    assert given.source("port") == "default"


def test_options_win_over_the_environment_and_that_over_the_file(set_to: SetTo) -> None:
    set_to("port = 1\nqueue = 2\nworkers = 3", NORMA_PORT="4", norma_queue="5")
    given = gather({"port": 6})
    chosen = load(given)
    assert (chosen.port, chosen.queue, chosen.workers) == (6, 5, 3)
    assert [given.source(name) for name in ("port", "queue", "workers", "fmr")] == [
        "command line",
        "environment",
        "file",
        "default",
    ]


def test_a_file_speaks_toml(set_to: SetTo) -> None:
    chosen = load(set_to('insecure = true\nhost = "::1"\nfmr = 1e-3\ndata_dir = "/srv/norma"'))
    assert chosen.insecure is True
    assert (chosen.host, chosen.fmr) == ("::1", 1e-3)
    assert chosen.packages_dir == Path("/srv/norma/packages")


def test_an_empty_variable_is_none(set_to: SetTo) -> None:
    """As compose files leave them: `NORMA_PORT: ${NORMA_PORT:-}`."""
    given = set_to("port = 7", NORMA_PORT="", NORMA_METRICS_PORT="")
    assert load(given).port == 7
    assert given.source("port") == "file"


def test_every_mistake_is_told_at_once_with_its_place(set_to: SetTo) -> None:
    given = set_to("queue = 0\nprot = 80", NORMA_PORT="tcp://10.0.0.1:80", NORMA_FPIR="2")
    told = mistakes(given)
    assert told == [
        f"{set_to.path}: there is no setting 'prot'; the nearest is 'port'",
        "NORMA_PORT=tcp://10.0.0.1:80: input should be a valid integer, unable to parse string as "
        "an integer",
        f"{set_to.path}: queue=0: input should be greater than or equal to 1",
        "NORMA_FPIR=2: input should be less than 1",
    ]
    with pytest.raises(StartError) as refused:
        load(given)
    assert refused.value.message == "; ".join(told)


@pytest.mark.parametrize("name", ["NORMA_QUEU", "NORMA_DATADIR", "NORMA_RECOGNIZER", "NORMA_PROT"])
def test_a_slip_of_the_pen_is_told(set_to: SetTo, name: str) -> None:
    [told] = mistakes(set_to(None, **{name: "1"}))
    assert told.startswith(f"{name} is no setting; NORMA_")


@pytest.mark.parametrize(
    "name",
    [
        "NORMA_ASSETS",
        "NORMA_FAILPOINTS",
        "NORMA_GOLDEN",
        "NORMA_IMAGE",
        "NORMA_KILLS",
        "NORMA_MEMORY",
        "NORMA_PORT_8000_TCP_ADDR",
        "NORMA_PUBLISHED_PORT",
        "NORMA_RUNS",
        "NORMA_SEED",
        "NORMA_SERVICE_HOST",
        "NORMA_SERVICE_PORT",
        "NORMA_UPDATE_SNAPSHOTS",
    ],
)
def test_variables_of_others_are_left_alone_and_can_be_told(set_to: SetTo, name: str) -> None:
    given = set_to(None, **{name: "10.0.0.1"}, NORMA_PORT="80")
    assert mistakes(given) == []
    assert name in unused(given)
    assert "NORMA_PORT" not in unused(given)


@pytest.mark.parametrize("value", ["nan", "inf", "-1", "0"])
def test_no_timeout_that_never_ends_or_never_was(set_to: SetTo, value: str) -> None:
    [told] = mistakes(set_to(None, NORMA_BODY_TIMEOUT=value))
    assert told.startswith("NORMA_BODY_TIMEOUT=")


@pytest.mark.parametrize(
    ("together", "said"),
    [
        ({"NORMA_MIN_SIDE": "300", "NORMA_MAX_SIDE": "200"}, "NORMA_MAX_SIDE=200 let no image in"),
        ({"NORMA_MIN_SIDE": "400", "NORMA_MAX_PIXELS": "10000"}, "NORMA_MAX_PIXELS=10000 is less"),
        ({"NORMA_METRICS_PORT": "8000"}, "NORMA_METRICS_PORT=8000 is the API's own port"),
        ({"NORMA_GRACE": "5"}, "NORMA_GRACE=5 is less than NORMA_DEADLINE=20"),
        ({"NORMA_MASTER_KEY": "a", "NORMA_MASTER_KEY_FILE": "b"}, "give one of NORMA_MASTER_KEY"),
        ({"NORMA_MASTER_KEY": "a", "NORMA_ENCRYPTION": "off"}, "leaves the master key unused"),
        ({"NORMA_TRUSTED_PROXIES": "0.0.0.0/0"}, "must not be every address"),
    ],
)
def test_what_cannot_go_together_is_refused(
    set_to: SetTo, together: Environment, said: str
) -> None:
    [told] = mistakes(set_to(None, **together))
    assert said in told


@pytest.mark.parametrize("name", ["master_key", "master_key_command"])
def test_a_secret_in_a_file_that_others_can_read_is_refused(set_to: SetTo, name: str) -> None:
    given = set_to(f'{name} = "abc"')
    assert mistakes(given) == []
    set_to.path.chmod(0o640)
    assert mistakes(given) == [
        f"{set_to.path} holds {name}, and others can read it: chmod 600 {set_to.path}"
    ]


def test_a_secret_is_not_repeated_where_it_is_wrong(set_to: SetTo) -> None:
    [told] = mistakes(set_to("master_key = 123456"))
    assert told == f"{set_to.path}: master_key: Input should be a valid string"


def test_two_free_ports_may_both_be_zero(set_to: SetTo) -> None:
    assert mistakes(set_to(None, NORMA_PORT="0", NORMA_METRICS_PORT="0")) == []


def test_a_file_that_everybody_can_write_is_refused(set_to: SetTo) -> None:
    given = set_to("port = 80")
    set_to.path.chmod(0o666)
    [told] = mistakes(given)
    assert told == f"{set_to.path} can be written by everybody: chmod o-w {set_to.path}"


@pytest.mark.parametrize("text", ["port = ", "port: 80", "port = 1\nport = 2", "\x00"])
def test_a_file_that_is_no_toml_is_named(set_to: SetTo, text: str) -> None:
    with pytest.raises(StartError, match=r"norma\.toml: not TOML: "):
        set_to(text)


def test_a_missing_file_is_named(set_to: SetTo, tmp_path: Path) -> None:
    with pytest.raises(StartError, match=r"NORMA_CONFIG=.*nowhere: No such file"):
        set_to(None, NORMA_CONFIG=str(tmp_path / "nowhere"))
