"""What every imported sample says of itself."""

from export.importers.networks import About
from export.manifest import Licence, Training


def about(name: str = "made") -> About:
    return About(
        name=name,
        version="1",
        description="a sample",
        source="nowhere",
        licence=Licence(name="MIT", commercial_use=True),
        training=Training(data="nothing", loss="none"),
    )
