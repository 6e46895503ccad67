"""The table of all settings, as Markdown."""

from collections.abc import Iterator

from app.configuration.fields import described, variable

_HEAD = """# Settings

Generated from [settings.py](settings.py) by `norma config describe`; a test keeps it current.

Each setting is an environment variable, or a key of the TOML file that `NORMA_CONFIG` names
(`NORMA_QUEUE=32` is `queue = 32`). Options of a command win over the environment, that over the
file. A name that is no setting, a value out of its range, and settings that cannot go together
refuse the start, all told at once; `norma config check` tells them without starting, `norma config
show` where each value comes from.

| variable | default | values | meaning |
|---|---|---|---|
"""


def markdown() -> str:
    """The whole page."""
    return _HEAD + "".join(_rows())


def _rows() -> Iterator[str]:
    for one in described():
        default = f"`{one.default}`" if one.default else "unset"
        meaning = one.meaning.replace("|", "\\|")
        yield f"| `{variable(one.name)}` | {default} | {one.values} | {meaning} |\n"
