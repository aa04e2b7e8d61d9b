"""`assay up` as the source of an import: what MLflow's protocol carries comes, and what it does not is named."""

import math
import signal
import subprocess
import sys
from collections.abc import Callable

from assay.exchange import bring, open_mlflow
from assay.store import Store
from assay.track import begin_run, get_run
from assay.track.points import history
from assay.track.versions import register


def test_an_import_from_assay_up_brings_runs_and_names_the_rest(new_store: Callable[[str], Store]) -> None:
    there, here = new_store("there"), new_store("here")
    with begin_run(there, "trips", name="first") as run:
        run.log_params({"rate": 0.5})
        run.log_metrics({"m": 1.0, "far": math.inf, "odd": math.nan}, step=3)
        run.log_artifact("deep/a.bin", bytes(range(256)))
    with there.database.begin() as connection:
        register(connection, "churn", "ab" * 32, run_id=run.id, trained_until=None)
    command = [sys.executable, "-m", "assay", "up", "--port", "0", "--home", str(there.home.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            summary = bring(here, open_mlflow(server.stdout.readline().split()[-1]))
        finally:
            server.send_signal(signal.SIGTERM)
    assert (summary.runs, summary.points, summary.artifacts, summary.complete) == (1, 3, 1, True)
    brought = get_run(here, run.id)
    assert brought.params == {"rate": "0.5"}
    assert [(one.value, one.step) for one in history(here, run.id, "far")] == [(math.inf, 3)]
    assert [math.isnan(one.value) for one in history(here, run.id, "odd")] == [True]
    (bundles, bundle_count), (store, store_count) = summary.left_out_counts.items()
    assert (bundle_count, store_count) == (1, 1)
    assert "bundles of published versions" in bundles
    assert "assay import assay" in store
