"""Every route refuses what it was not told of: unknown query parameters, lax JSON."""

import ast

from tests.contract.sources import calls, trees


def test_every_route_is_strict() -> None:
    routers = [
        (f"{path}:{line}", {one.arg: ast.unparse(one.value) for one in call.keywords})
        for path, tree in trees("app").items()
        for line, name, call in calls(tree)
        if name.endswith("APIRouter")
    ]
    assert len(routers) > 5
    lax = [where for where, given in routers if given.get("route_class") != "StrictRoute"]
    assert lax == [], "give it route_class=StrictRoute, of app/http/routing.py"


def test_nobody_reads_json_from_callers_in_another_way() -> None:
    """`Request.json` of a route is the strict one; the readers themselves stay in one file."""
    offenders = [
        f"{path}:{line} calls {name}"
        for path, tree in trees("app").items()
        for line, name, _ in calls(tree)
        if path.parts[1] == "http"
        and name in ("json.loads", "orjson.loads")
        and path.name not in ("strict_json.py", "examples.py", "packed.py")
    ]
    assert offenders == []
