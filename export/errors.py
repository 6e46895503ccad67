"""Errors of the package world.

PackageError
├── ManifestError     a manifest or table that does not say what it must (names file and field)
├── IntegrityError    a file that is missing, foreign or not what the manifest recorded
├── ImportFailedError a foreign model that cannot become a package (names file and reason)
├── CalibrationError  labelled photos or scores from which no honest table can be made
│   └── UnsupportedRateError  an error rate below what the comparisons at hand can show
├── ParityError       an exported file that is not the network it came from
└── DriftError        a smaller file that differs too much from the fp32 one
"""


class PackageError(Exception):
    """A model package cannot be used; the message names the file and what is wrong with it."""

    code = "package_invalid"


class ManifestError(PackageError):
    """A JSON file of a package breaks its schema."""

    code = "manifest_invalid"


class IntegrityError(PackageError):
    """A file of a package is missing, is a link, or differs from its recorded size or digest."""

    code = "package_damaged"


class ImportFailedError(PackageError):
    """A foreign model cannot be turned into a package."""

    code = "import_failed"


class CalibrationError(PackageError):
    """Labelled photos or scores from which no honest table can be made."""

    code = "calibration_refused"


class UnsupportedRateError(CalibrationError):
    """An error rate below what the comparisons at hand can show."""

    code = "rate_unsupported"


class ParityError(PackageError):
    """The exported file differs from the network it came from; the message says how."""

    code = "parity_failed"


class DriftError(PackageError):
    """A smaller file differs too much from the fp32 one; the message lists what and by how much."""

    code = "drift_too_large"
