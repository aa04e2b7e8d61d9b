"""The verbs of a user's pipeline: each is a step when a pipeline calls it, and an ordinary function elsewhere."""

from assay.blessing import bless as _bless
from assay.blessing import publish as _publish
from assay.checks import check as _check
from assay.model import train as _train
from assay.pipelines import step

check = step(_check)
train = step(_train)
bless = step(_bless)
publish = step(_publish)
