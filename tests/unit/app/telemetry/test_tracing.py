"""Tracing costs nothing where it is off, and says what it needs where it is on."""

import subprocess
import sys

from app.telemetry.tracing import open_tracing
from tests.contract.sources import ROOT

WITHOUT = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.startswith("opentelemetry.exporter"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Refuse())
from app.errors import StartError
from app.telemetry.tracing import open_tracing
try:
    open_tracing("http://127.0.0.1:1", 1.0)
except StartError as error:
    sys.stdout.write(error.message)
"""


def ran(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_nothing_is_imported_where_it_is_off() -> None:
    assert open_tracing(None, 1.0) is None
    heavy = "[n for n in sys.modules if n.startswith(('opentelemetry.sdk', 'opentelemetry.exp'))]"
    code = f"import sys, app.commands.serve\nsys.stdout.write(repr({heavy}))"
    assert ran(code) == "[]"


def test_a_missing_extra_is_said() -> None:
    assert ran(WITHOUT).endswith("install norma[tracing]")
