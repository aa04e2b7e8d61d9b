"""The network of docs/models.md: kept in safetensors, its class in the bundle's code."""

import re
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import numpy as np
import pyarrow as pa
import pytest

from assay.blessing import Policy, bless
from assay.errors import BadInput
from assay.model import train
from assay.store import Store

# Not "MISSING": its CPU build is no lockable file of every machine, so CI goes without it.
pytestmark = pytest.mark.skipif(
    not find_spec("torch") or not find_spec("safetensors"),
    reason="PyTorch, whose CPU build can't be locked. Run: pip install torch safetensors",
)
PAGE = Path(__file__).parents[2] / "docs" / "models.md"
DECLARED = """

class In(assay.Record):
    key: assay.Key[str]
    at: assay.EventTime
    a: float
    b: float

class Out(assay.Record):
    amount: float

model = assay.Model(
    "net", takes=In, gives=Out, label="amount", fit=fit, estimator=kept, metrics=["mae"],
    features=lambda d: {"a": d.a, "b": d.b},
)
"""


@pytest.fixture
def rows() -> pa.Table:
    random, count = np.random.default_rng(3), 600
    at = np.datetime64("2013-01-01", "us") + np.arange(count) * np.timedelta64(48, "m")
    a, b = random.normal(size=count), random.normal(size=count)
    table = {"key": [f"k{i}" for i in range(count)], "at": pa.array(at).cast(pa.timestamp("us", "UTC"))}
    return pa.table(table | {"a": a, "b": b, "amount": 3 * a - b})


def block() -> str:
    (found,) = re.findall(r"^```py\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return found


def test_a_network_is_trained_blessed_and_opened(
    project: Callable[..., ModuleType], opened: Store, rows: pa.Table
) -> None:
    module = project(nets=block() + DECLARED)
    candidate = train(module.model, rows.slice(0, 420))
    verdict = bless(candidate, rows.slice(420), Policy("mae", margin=1, within=(0, 0.3)))
    assert verdict.blessed, verdict.reasons


def test_what_torch_itself_saves_is_refused(project: Callable[..., ModuleType], opened: Store, rows: pa.Table) -> None:
    theirs = "import io\ndef pickled(net):\n    file = io.BytesIO()\n    torch.save(net.state_dict(), file)\n    return file.getvalue()\n"
    source = (
        block()
        .replace("save=lambda net: save(net.state_dict())", "save=pickled")
        .replace("kept = ", theirs + "kept = ")
    )
    with pytest.raises(BadInput, match="save\\(\\) of the estimator gave a pickle"):
        train(project(nets=source + DECLARED).model, rows)
