"""What a tick, an answer or a ledger line acknowledged is there once in every state that a power cut may leave."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from crash.search import WORKLOADS, Workload, recorded, search
from crash.trace import can_record

pytestmark = pytest.mark.skipif(
    not can_record(), reason="MISSING: strace. Run: apt-get install strace; it must be allowed to trace"
)
WHOLE = bool(os.environ.get("ASSAY_ALL_PARTS"))
MOST = 1_000 if WHOLE else 25
LONG = pytest.mark.skipif(not WHOLE, reason="It takes minutes. Set ASSAY_ALL_PARTS=1")
#: One of each kind that starts fast; the others differ little, or start slowly.
SMALL = {
    "points from nothing",
    "served",
    "kept",
    "compacted",
    "handed",
    "drained, fsync:signal=KILL:when=2",
    "served, fsync:error=EIO:when=5",
    "sealed, fdatasync:error=EIO:when=2",
}


def shown(workloads: Sequence[Workload]) -> list[Any]:
    """Parameters of a test, of which some are left out unless all parts are tested."""
    return [pytest.param(one, id=str(one), marks=() if str(one) in SMALL else LONG) for one in workloads]


@pytest.mark.parametrize("workload", shown(WORKLOADS))
def test_nothing_acknowledged_is_lost_or_doubled_by_a_power_cut(workload: Workload, tmp_path: Path) -> None:
    found = search(recorded(workload, tmp_path), samples=max(1, MOST // 40), most=MOST)
    assert found.promises
    assert not found.faults, found.faults[:3]


#: The disk fails one fsync; what is promised then is promised of what was written again, or not at all.
FAILING = [
    *(Workload("served", injections=(f"fsync:error=EIO:when={n}",)) for n in (3, 4, 5, 6)),
    *(Workload("kept", injections=(f"fsync:error=EIO:when={n}",)) for n in (1, 2, 3)),
    *(Workload("sealed", injections=(f"fdatasync:error=EIO:when={n}",)) for n in (1, 2, 5)),
]


@pytest.mark.parametrize("workload", shown(FAILING))
def test_a_sync_that_failed_once_is_never_taken_as_done(workload: Workload, tmp_path: Path) -> None:
    found = search(recorded(workload, tmp_path), samples=max(1, MOST // 40), most=MOST)
    assert found.promises
    assert not found.faults, found.faults[:3]
