"""The verbs of a user's pipeline: each is a step when a pipeline calls it, and an ordinary function elsewhere."""

import functools
from typing import Any

from assay import context
from assay.blessing import bless as _bless
from assay.blessing import publish as _publish
from assay.checks import Report, keep_report
from assay.checks import check as _check
from assay.model import train as _train
from assay.pipelines import step
from assay.store import current


@functools.wraps(_check)
def _checked(*args: Any, **kwargs: Any) -> Report:
    report = _check(*args, **kwargs)
    if context.run_id.get() and not context.what_if():
        keep_report(current(), report)
    return report


check = step(_checked)
train = step(_train)
bless = step(_bless)
publish = step(_publish)
