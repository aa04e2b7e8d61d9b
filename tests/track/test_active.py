"""The run at hand: functions that act on it, and where it begins and ends."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

import assay
from assay import context, store
from assay.errors import BadInput, NotFound
from assay.store import Store
from assay.track import Run, active_run, begin_run, find_runs, get_run
from assay.track.points import history
from assay.track.runs import NOTE


def test_what_is_logged_in_a_block_is_found_afterwards(opened: Store) -> None:
    with assay.start_run("night", name="first", params={"leaves": 31}, tags={"why": "trees"}) as run:
        assay.log_metric("loss", 0.5, 1)
        assay.log_metrics({"loss": 0.25, "auc": 0.9}, step=2)
        assay.log_param("rate", 0.1)
        assay.log_params({"seed": 7})
        assay.set_tag("team", "a")
        assay.set_tags({"day": "mon"})
        assay.note("looks **good**")
    (found,) = find_runs(opened)
    assert (found.id, found.experiment, found.name, found.kind, found.status) == (
        run.id,
        "night",
        "first",
        "tracked",
        "finished",
    )
    assert found.params == {"leaves": 31, "rate": 0.1, "seed": 7}
    assert found.metrics == {"auc": 0.9, "loss": 0.25}
    assert found.tags == {"why": "trees", "team": "a", "day": "mon", NOTE: "looks **good**"}


@pytest.mark.parametrize("call", [lambda: assay.log_metric("a", 1), active_run, lambda: assay.log_model("m", None)])
def test_without_a_run_it_is_said_what_to_do(opened: Store, call: Callable[[], object]) -> None:
    with pytest.raises(BadInput, match=r"no run is active in this thread\nLog inside of `with assay.start_run"):
        call()


def test_a_run_begun_inside_of_another_is_its_child_and_the_outer_one_is_active_again(opened: Store) -> None:
    with assay.start_run("night") as outer:
        with assay.start_run("night") as inner:
            assert (active_run(), context.run_id.get()) == (inner, inner.id)
            with assay.start_run("night") as innermost:
                assay.log_metric("depth", 3)
        assert (active_run(), context.run_id.get()) == (outer, outer.id)
        assay.log_metric("depth", 1)
    assert context.run_id.get() is None
    found = {row.id: row for row in find_runs(opened)}
    assert [found[run.id].parent_id for run in (outer, inner, innermost)] == [None, outer.id, inner.id]
    assert (found[outer.id].metrics, found[innermost.id].metrics) == ({"depth": 1}, {"depth": 3})


def test_a_run_of_another_store_is_no_parent(opened: Store, tmp_path: Path) -> None:
    with assay.start_run(), store.use(store.find_home(tmp_path / "other")) as other:
        with assay.start_run() as run:
            assay.log_metric("a", 1)
        assert get_run(other, run.id).parent_id is None
        other.database.dispose()


def test_pipeline_and_training_runs_are_active_too(opened: Store) -> None:
    with begin_run(opened, "weekly", kind="pipeline", asof=datetime(2013, 6, 3, tzinfo=UTC)) as run:
        assay.log_metric("rows", 10)
        with assay.start_run("probe") as probe:
            pass
    assert get_run(opened, run.id).metrics == {"rows": 10}
    assert get_run(opened, probe.id).parent_id == run.id


def test_without_a_block_a_run_is_active_until_it_is_finished(opened: Store) -> None:
    run = assay.start_run()
    assay.log_metric("a", 1)
    assert get_run(opened, run.id).status == "running"
    run.finish()
    assert get_run(opened, run.id).status == "finished"
    with pytest.raises(BadInput, match="no run is active"):
        assay.log_metric("a", 2)


def test_runs_that_end_out_of_order_leave_the_right_one_active(opened: Store) -> None:
    first, second, third = assay.start_run(), assay.start_run(), assay.start_run()
    second.finish()
    assert active_run() is third
    third.finish()
    assert (active_run(), context.run_id.get()) == (first, first.id)
    first.finish()
    assert context.run_id.get() is None


def test_a_run_finished_by_another_thread_is_not_active_here(opened: Store) -> None:
    run = assay.start_run()
    thread = threading.Thread(target=run.finish)
    thread.start()
    thread.join()
    with pytest.raises(BadInput, match="no run is active"):
        active_run()


def test_threads_have_runs_of_their_own_and_may_use_the_one_of_another(opened: Store) -> None:
    ready, ids = threading.Barrier(4), list[str]()

    def work(number: int, shared: Run) -> None:
        with pytest.raises(BadInput):
            active_run()
        with assay.start_run(f"thread-{number}") as run:
            ready.wait()
            for step in range(100):
                assay.log_metric("mine", number, step)
                shared.log_metric(f"of-{number}", step, step)
        ids.append(run.id)

    with assay.start_run() as shared:
        threads = [threading.Thread(target=work, args=(number, shared)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    found = {row.id: row for row in find_runs(opened)}
    assert sorted(found[run_id].metrics["mine"] for run_id in ids) == [0, 1, 2, 3]
    assert all(len(history(opened, shared.id, f"of-{number}")) == 100 for number in range(4))


def test_how_a_block_ends_is_how_the_run_ends(opened: Store) -> None:
    with pytest.raises(ZeroDivisionError), assay.start_run(name="raised"):
        _ = 1 / 0
    with pytest.raises(KeyboardInterrupt), assay.start_run(name="stopped"):
        raise KeyboardInterrupt
    with pytest.raises(SystemExit), assay.start_run(name="left"):
        raise SystemExit(0)
    with assay.start_run(name="said") as run:
        run.finish("failed", error="diverged")
    found = {row.name: (row.status, row.error) for row in find_runs(opened)}
    assert found == {
        "raised": ("failed", "ZeroDivisionError: division by zero"),
        "stopped": ("killed", "KeyboardInterrupt"),
        "left": ("finished", None),
        "said": ("failed", "diverged"),
    }


def test_a_script_that_ends_without_finish_finishes_its_runs(opened: Store, program: Callable[..., object]) -> None:
    program("assay.start_run(name='good'); assay.log_metric('a', 1)")
    program("assay.start_run(name='bad'); 1 / 0", ok=False)
    program("assay.start_run(name='stopped'); raise KeyboardInterrupt", ok=False)
    program("import sys; assay.start_run(name='left'); sys.exit(0)")
    found = {row.name: (row.status, row.error) for row in find_runs(opened)}
    assert found == {
        "good": ("finished", None),
        "bad": ("failed", "ZeroDivisionError: division by zero"),
        "stopped": ("killed", "KeyboardInterrupt"),
        "left": ("finished", None),
    }


def test_what_can_not_be_kept_of_a_start_leaves_a_failed_run(opened: Store) -> None:
    with pytest.raises(BadInput, match="parameters must be JSON"):
        assay.start_run(params={"model": object()})
    assert [row.status for row in find_runs(opened)] == ["failed"]
    assert context.run_id.get() is None


def test_an_unknown_parent_is_refused(opened: Store) -> None:
    with pytest.raises(NotFound, match="there is no run 'nobody' to be the parent"):
        begin_run(opened, "m", parent="nobody")
