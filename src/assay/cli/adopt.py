"""`assay adopt`."""

from typing import TYPE_CHECKING

import click

from assay.cli.command import command, console, print_json
from assay.store import Store

if TYPE_CHECKING:
    from assay.blessing import Policy, Verdict
    from assay.model import Candidate, Model


@command(writes=True)
@click.argument("source")
@click.option("--takes", required=True, help="The contract of its input, MODULE:CLASS.")
@click.option("--gives", help="The contract of its output, MODULE:CLASS; inferred when omitted.")
@click.option("--label", default="label", show_default=True, help="The column of what really happened.")
@click.option("--metric", "metrics", multiple=True, help="What to judge by; repeat it for several.")
@click.option("--name", help="The name of the model; that in the registry when omitted.")
@click.option("--trained-until", help="Its newest training row; when it was registered, if omitted.")
@click.option("--holdout", help="Bless it on this table, and publish it if it is blessed; needs --policy.")
@click.option("--policy", help="The policy to bless it by, MODULE:NAME.")
def adopt(
    store: Store,
    source: str,
    takes: str,
    gives: str | None,
    label: str,
    metrics: tuple[str, ...],
    name: str | None,
    trained_until: str | None,
    holdout: str | None,
    policy: str | None,
    as_json: bool,
) -> int:
    r"""Make a model that MLflow's client registered here a candidate, like one of assay.train.

    SOURCE is models:/NAME@ALIAS or models:/NAME/VERSION. Its declaration is written into the project as adopted_NAME.py
    unless that file is there. Only formats that run no code are taken; a pickle is refused.

    Exit code 1 when it is not blessed.

    \b
    Examples:
      assay adopt models:/late@champion --takes flights:Departure --label late
      assay adopt models:/late/3 --takes flights:Departure --gives flights:Late
    """
    from assay.cli.check import find_contract
    from assay.errors import BadInput
    from assay.model.adopt import adopt as keep
    from assay.model.adopt import adoptable, declaration, file_name
    from assay.model.mlmodel import read_mlmodel
    from assay.predictions import check_model_name
    from assay.store.artifacts import write_whole
    from assay.times import instant
    from assay.web.mlflow.version_files import files_of_version

    if (holdout is None) != (policy is None):
        raise BadInput("--holdout and --policy belong together", do="Give both, or bless it by assay.bless().")
    judge = _policy(store, policy) if policy else None
    files = files_of_version(store, source)
    called = name or files.model
    check_model_name(called)
    takes_class, gives_class = find_contract(store, takes), find_contract(store, gives) if gives else None
    found = adoptable(store, str(files), read_mlmodel(str(files), files.read), takes_class)
    module = file_name(called)
    path = store.home.project / f"{module}.py"
    if is_new := not path.exists():
        text = declaration(called, str(files), found, takes_class, gives_class, label, metrics)
        write_whole(path, text.encode())
    model = _declared(store, module, called)
    until = instant(trained_until) if trained_until else files.created_at
    candidate = keep(store, model, str(files), found, until)
    verdict = _judged(candidate, holdout, judge) if holdout and judge else None
    _show(str(files), candidate, f"{module}.py", verdict, is_new=is_new, as_json=as_json)
    return 1 if verdict is not None and not verdict.blessed else 0


def _policy(store: Store, reference: str) -> "Policy":
    from assay.blessing import Policy
    from assay.errors import BadInput
    from assay.pipelines.pipeline import import_module

    module, _, name = reference.partition(":")
    found = getattr(import_module(module, store.home.project), name, None)
    if not isinstance(found, Policy):
        raise BadInput(f"{reference!r} names no policy", do="Write MODULE:NAME of an assay.Policy(...).")
    return found


def _declared(store: Store, module: str, called: str) -> "Model":
    from assay.errors import BadInput
    from assay.model import Model
    from assay.pipelines.pipeline import import_module

    found = getattr(import_module(module, store.home.project), "model", None)
    if not isinstance(found, Model) or found.name != called:
        raise BadInput(
            f"{module}.py does not declare the model {called!r} as `model`",
            do="Correct it, or move it away: it is written again.",
        )
    return found


def _judged(candidate: "Candidate", holdout: str, policy: "Policy") -> "Verdict":
    from assay.blessing import bless, publish
    from assay.tables import read

    verdict = bless(candidate, read(holdout), policy)
    if verdict.blessed:
        publish(candidate)
    return verdict


def _show(
    called: str, candidate: "Candidate", file: str, verdict: "Verdict | None", *, is_new: bool, as_json: bool
) -> None:
    from assay.blessing import render

    if as_json:
        shown = {"source": called, "model": candidate.model, "bundle": candidate.bundle, "run_id": candidate.run_id}
        print_json(shown | {"declaration": file, "blessed": verdict.blessed if verdict else None})
        return
    console().print(f"{called} is a candidate of {candidate.model}, declared in {file}{' (written)' if is_new else ''}")
    if verdict is not None:
        render(verdict, console())
        return
    console().print("Bless it before it is published, in Python:")
    console().print(
        f'  candidate = Candidate("{candidate.model}", "{candidate.bundle}", "{candidate.run_id}")  # assay.model',
        soft_wrap=True,
    )
    console().print("  assay.bless(candidate, holdout, policy)")
    console().print("or repeat the command with --holdout TABLE --policy MODULE:NAME.")
