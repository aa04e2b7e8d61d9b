"""The verbs of a user's pipeline: each is a step when a pipeline calls it, and an ordinary function elsewhere."""

from assay.bless import bless as _bless
from assay.bless import publish as _publish
from assay.checks import check as _check
from assay.model import train as _train
from assay.pipeline import step

check = step(_check)
train = step(_train)
bless = step(_bless)
publish = step(_publish)
