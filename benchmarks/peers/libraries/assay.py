"""Assay on the file, or on a folder of files."""

from twenty import FULL, RANGES, SETS

from assay.checks import Checks, check, col

RULES = Checks(
    *(col(name).between(low, high) for name, (low, high) in RANGES.items()),
    *(col(name).isin(*values) for name, values in SETS.items()),
    *(col(name).nulls() for name in FULL),
)


def prepare(file):
    return lambda: check(file, RULES).raise_for_failure()
