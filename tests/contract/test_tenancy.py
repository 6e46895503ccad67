"""A19: every statement on a table of owners' rows names the owner whose rows it means."""

import ast
import re
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.gallery.schema import MIGRATIONS, migrate
from tests.contract.sources import trees

OTHERWISE = {
    "app/gallery/rows/subjects.py expired": "the sweeper erases for every owner, owner by owner",
    "app/gallery/rows/subjects.py place": "a tombstone names a row by its uid; answers the owner",
    "app/gallery/rows/faces.py place": "as with subjects",
    "app/gallery/rows/galleries.py by_uid": "as with subjects",
    "app/gallery/rows/galleries.py all_owners": "the index is loaded for every owner",
    "app/gallery/rows/galleries.py holdings": "sums for the metrics, which name nobody",
    "app/gallery/rows/health.py all_owners": "own rates are loaded for every owner, at start",
    "app/gallery/unlock.py rewrap": "a new master key is for every owner",
    "app/gallery/unlock.py _holds_galleries": "whether there is anything at all",
    "app/gallery/backup.py _forget_spools": "a backup is of every owner",
    "app/gallery/backup.py _verified": "as above",
    "app/jobs/rows.py unfinished": "the runner works for every owner",
}
"""Functions whose statements range over owners, with the reason. Callers never reach them."""

_SQL = re.compile(r"\s*(SELECT|INSERT|REPLACE|UPDATE|DELETE|WITH)\s", re.IGNORECASE)
_TABLE = re.compile(
    r"\b(?:FROM|JOIN|INTO|UPDATE)\s+(\w+)(?:\s+(?:AS\s+)?(?!WHERE\b|SET\b|ON\b|JOIN\b|ORDER\b|"
    r"NOT\b|INDEXED\b|VALUES\b|SELECT\b|INTERSECT\b|LIMIT\b|LEFT\b|INNER\b|CROSS\b|GROUP\b)(\w+))?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Statement:
    """A piece of SQL in the sources, and the function that it stands in."""

    place: str
    line: int
    text: str


def owned_tables() -> set[str]:
    """The tables of the gallery's schema that have an owner."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrate(connection, MIGRATIONS)
    named = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
    found = {
        name
        for (name,) in named
        if "owner" in {row[1] for row in connection.execute(f"PRAGMA table_info({name})")}
    }
    connection.close()
    return found


OWNED = owned_tables()


def statements(path: Path, tree: ast.Module) -> Iterator[Statement]:
    """Every string in a function that reads like SQL, and every constant that is executed."""
    known = constants(tree)
    documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        skipped = documentation | {
            id(part)
            for node in ast.walk(function)
            if isinstance(node, ast.JoinedStr)
            for part in ast.walk(node)
            if part is not node
        }
        for node in ast.walk(function):
            text = "" if id(node) in skipped else written(node, known)
            if _SQL.match(text):
                line = getattr(node, "lineno", function.lineno)
                yield Statement(f"{path} {function.name}", line, " ".join(text.split()))


def constants(tree: ast.Module) -> dict[str, str]:
    """The strings that a module gives names to."""
    return {
        target.id: written(node.value, {})
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name) and written(node.value, {})
    }


def written(node: ast.AST, known: Mapping[str, str]) -> str:
    """The text of a string, of an f-string with ` x ` for what it computes, or of what is executed
    by its name; nothing for other nodes."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        return "".join(written(part, known) or " x " for part in node.values)
    if isinstance(node, ast.FormattedValue) and isinstance(node.value, ast.Name):
        return known.get(node.value.id, "")
    if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("execute", "executemany")):
        first = node.args[0] if node.args else None
        return known.get(first.id, "") if isinstance(first, ast.Name) else ""
    return ""


def unowned(sql: str) -> list[str]:
    """The tables with owners that a statement touches without saying whose rows it means."""
    touched = [(table, alias) for table, alias in _TABLE.findall(sql) if table in OWNED]
    if not touched:
        return []
    if sql.upper().startswith(("INSERT", "REPLACE")) and len(touched) == 1:
        columns = sql.partition("(")[2].partition(")")[0]
        return [] if re.search(r"\bowner\b", columns) else [touched[0][0]]
    condition = re.split(r" where ", sql, maxsplit=1, flags=re.IGNORECASE)[-1]
    bound = re.search(r"\bowner = (\?\d*|:owner)", condition)
    return [table for table, alias in touched if not (bound and _named(sql, alias or table, alias))]


def _named(sql: str, name: str, alias: str) -> bool:
    """Whether this table's own owner is compared with something."""
    own = rf"\b{name}\.owner" + ("" if alias else r"|(?<![\w.])owner")
    return re.search(rf"({own}) =|= ({own})\b", sql) is not None


FOUND = [one for path, tree in trees("app").items() for one in statements(path, tree)]


def test_the_sources_are_read_as_they_run() -> None:
    source = """
_ALL = "SELECT id FROM faces"
def one(c): c.execute(f"{_ALL} WHERE owner = ? AND id IN ({','.join(marks)})", 1)
def two(c): return c.execute(_ALL)
def three(c): "SELECT of the documentation"
"""
    found = {one.place: one.text for one in statements(Path("f"), ast.parse(source))}
    assert found == {
        "f one": "SELECT id FROM faces WHERE owner = ? AND id IN ( x )",
        "f two": "SELECT id FROM faces",
    }


def test_a19_there_are_statements_to_look_at() -> None:
    assert {"galleries", "subjects", "terms", "faces", "idempotency", "jobs", "job_items"} <= OWNED
    assert len([one for one in FOUND if _TABLE.search(one.text)]) > 40


def test_a19_every_statement_on_owners_rows_names_the_owner() -> None:
    offenders = [
        f"{one.place}:{one.line}: {', '.join(missing)}: {one.text[:100]}"
        for one in FOUND
        if (missing := unowned(one.text)) and one.place not in OTHERWISE
    ]
    assert offenders == []


def test_a19_what_is_excepted_needs_to_be() -> None:
    assert set(OTHERWISE) <= {one.place for one in FOUND if unowned(one.text)}


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT id FROM faces WHERE owner = ? AND id = ?",
        "SELECT id FROM faces INDEXED BY f WHERE owner = ?1 AND gallery_id = ?2",
        "SELECT id FROM faces NOT INDEXED WHERE owner = ? AND id = ?",
        "INSERT INTO faces (owner, id) VALUES (?, ?)",
        "UPDATE subjects SET faces = ? WHERE owner = ? AND id = ?",
        "SELECT s.key FROM subjects s JOIN faces f ON f.subject_id = s.id AND f.owner = s.owner"
        " WHERE s.owner = ?",
        "SELECT value FROM meta WHERE name = ?",
    ],
)
def test_the_rule_lets_pass_what_is_right(sql: str) -> None:
    assert unowned(sql) == []


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT id FROM faces WHERE id = ?",
        "SELECT owner FROM faces WHERE id = ?",
        "SELECT id FROM faces WHERE id = ? ORDER BY owner",
        "SELECT s.key FROM subjects s JOIN faces f ON f.subject_id = s.id WHERE s.owner = ?",
        "SELECT s.key FROM subjects s JOIN faces f ON f.owner = s.owner WHERE f.id = ?",
        "INSERT INTO faces (id) VALUES (?)",
        "INSERT INTO faces VALUES (?, ?)",
        "UPDATE subjects SET owner = ? WHERE id = ?",
        "UPDATE subjects SET owner_note = ? WHERE id = ?",
        "DELETE FROM terms WHERE subject_id = ?",
        "delete from terms where subject_id = ?",
    ],
)
def test_the_rule_catches_what_is_wrong(sql: str) -> None:
    assert unowned(sql) != []
