"""`assay serve`, `assay send` and `assay drain`."""

import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from assay.cli.command import command, console, need_state, print_json
from assay.cli.listening import listening, names_of, tls_of
from assay.errors import AssayError, Corrupt, Unavailable, first_few
from assay.store import Store

DRAIN_EVERY_S = 2.0
#: While it follows, days that became many files are compacted so often.
COMPACT_EVERY_S = 600.0
#: A team's other machines see rows so much later, at most.
HAND_ON_EVERY_S = 30.0
#: Guesses about a model file that are printed.
MOST_SAID = 6


@command(json=False, begins=True)
@click.argument("model")
@click.option("--takes", help="The contract of the input of a model file, MODULE:CLASS; inferred when omitted.")
@click.option("--gives", help="The contract of its output, MODULE:CLASS; inferred when omitted.")
@listening(8401)
@click.option("--rotate", default="30s", show_default=True, help="The time after which a spool segment is closed.")
@click.option("--require-log", is_flag=True, help="Answer 503 to rows that the prediction log can't take.")
def serve(
    store: Store,
    model: str,
    takes: str | None,
    gives: str | None,
    host: str,
    port: int,
    allow_host: tuple[str, ...],
    certfile: Path | None,
    keyfile: Path | None,
    rotate: str,
    require_log: bool,
) -> None:
    r"""Serve predictions of MODEL's champion over HTTP until Ctrl-C. A new champion is loaded while it runs.

    MODEL may also be a file of LightGBM (.txt), XGBoost (.ubj, .json) or ONNX: then nothing is logged, and the contract
    is --takes or inferred.

    \b
    Example:
      assay serve flight-delay --port 8401
      assay serve model.txt --takes shop:Basket
    """
    from assay.model.bare import is_model_file
    from assay.serve import serve as serve_model
    from assay.times import duration

    where: dict[str, Any] = {
        "host": host,
        "port": port,
        "names": names_of(allow_host),
        "tls": tls_of(certfile, keyfile),
    }
    if is_model_file(model):
        if require_log:
            raise click.UsageError("--require-log is for a published model; a model file has no prediction log")
        _serve_file(store, Path(model), takes, gives, where)
        return
    if takes or gives:
        raise click.UsageError("--takes and --gives are for a model file; a published model has its contract")
    need_state(store.home)
    with suppress(Unavailable):  # for serving to say
        store.database.upgrade()

    def ready(address: str) -> None:
        click.echo(f"{model} answers at {address}/predict; stop it with Ctrl-C")

    rotate_s = duration(rotate).total_seconds()
    serve_model(store, model, **where, rotate_s=rotate_s, require_log=require_log, ready=ready)


def _serve_file(store: Store, path: Path, takes: str | None, gives: str | None, where: dict[str, Any]) -> None:
    from assay.cli.check import find_contract
    from assay.model.bare import open_bare
    from assay.serve.bare import curl, serve_bare

    bare = open_bare(
        path,
        store.home.path,
        takes=find_contract(store, takes) if takes else None,
        gives=find_contract(store, gives) if gives else None,
    )

    def ready(address: str) -> None:
        for line in bare.said[:MOST_SAID]:
            click.echo(f"  {line}")
        if len(bare.said) > MOST_SAID:
            click.echo(f"  and {len(bare.said) - MOST_SAID} more like these")
        click.echo(f"{path} answers at {address}/predict; nothing is logged; stop it with Ctrl-C. Try:")
        click.echo(curl(address, bare))

    serve_bare(store, bare, **where, ready=ready)


@command()
@click.argument("model")
@click.option("--day", required=True, help="Send the rows whose event time lies on this UTC day.")
@click.option("--url", default="http://127.0.0.1:8401", show_default=True)
@click.option("--table", help="The table of the rows; the model's own table when omitted.")
@click.option("--fault", help="Change a share of the rows, like 'distance*1.609344:5%' or 'scheduled+5h:5%'.")
@click.option("--seed", default=1, show_default=True, help="The random seed that chooses the rows with the fault.")
@click.option(
    "--cafile",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Also trust these certificates (PEM) for an https URL.",
)
def send(store: Store, model: str, day: str, url: str, fault: str | None, as_json: bool, **options: Any) -> int:
    r"""Send a day of rows to a server, one request for each. With --fault, test whether `assay skew` finds a fault.

    For a server that needs a token, set ASSAY_TOKEN.

    \b
    Example:
      assay send flight-delay --day 2013-12-30 --fault 'distance*1.6:5%'
    """
    from assay.serve.send import send_day

    sent = send_day(store, model, url, day, fault=fault, progress=_progress(quiet=as_json), **options)
    if as_json:
        print_json(sent)
    else:
        shown = console()
        changed = f", {sent.changed} of them with the fault" if fault else ""
        rate = sent.answered / max(sent.seconds, 1e-9)
        shown.print(f"{sent.answered:,} of {sent.sent:,} rows answered{changed}, {rate:,.0f} a second")
        for line in sent.refused[:3]:
            shown.print(f"  refused: {line}")
    return 0 if sent.answered == sent.sent else 1


def _progress(*, quiet: bool):
    def shown(done: int, total: int) -> None:
        if not quiet and sys.stderr.isatty():
            click.echo(f"\r  {done:,} of {total:,} rows\x1b[K" if done < total else "\r\x1b[K", err=True, nl=False)

    return shown


@command()
@click.option("--follow", is_flag=True, help="Continue until stdin ends; `assay serve` starts such a process.")
def drain(store: Store, follow: bool, as_json: bool) -> None:
    r"""Move served rows from closed spool segments into the tables. It is safe to repeat.

    Small files of the tables are merged. Run it daily where rows come from something else than `assay serve`.

    \b
    Example:
      assay drain
    """
    from assay.predictions import drain_predictions

    ended = threading.Event()
    if follow:
        threading.Thread(target=lambda: (sys.stdin.buffer.read(), ended.set()), daemon=True).start()
        _follow(store, ended)
    done = drain_predictions(store.home)
    while done.left:
        done = done.followed_by(drain_predictions(store.home))
    if follow:
        _log_damage(done.damaged)
        return
    if as_json:
        print_json(done)
    else:
        torn = f", {done.torn_bytes} bytes of a record never acknowledged cut off" if done.torn_bytes else ""
        console().print(f"{done.records:,} rows of {done.segments} segments drained{torn}")
    _tidy(store)
    if done.faults:
        raise Unavailable(
            f"{len(done.faults)} segments could not be drained",
            *first_few([f"{name}: {why}" for name, why in done.faults.items()], len(done.faults)),
            do="They stay in the spool, and the next drain tries them again.",
        )
    if done.damaged:
        raise Corrupt(
            "a spool segment is damaged", *done.damaged, do="Its undamaged records are drained. Check the disk."
        )


def _follow(store: Store, ended: threading.Event) -> None:
    """Drain, bring files of tables to where all machines read them, and compact; none of them waits for another."""
    from assay.predictions import compact_served
    from assay.store.delivery import Loop
    from assay.store.shared import hand_on

    draining = Loop("served rows stay in the spool", lambda: _drain_once(store), every_s=DRAIN_EVERY_S)
    others = [
        Loop("rows are on this machine only", lambda: hand_on(store.home), every_s=HAND_ON_EVERY_S),
        Loop("served rows are not compacted", lambda: compact_served(store.home), every_s=COMPACT_EVERY_S),
    ]
    for loop in (draining, *others):
        loop.start()
    ended.wait()
    for loop in others:
        loop.cancel()  # they may be killed at any moment
    draining.stop()


def _tidy(store: Store) -> None:
    """What the drainer of a server does beside draining."""
    import logging

    from assay.predictions import compact_served
    from assay.store.shared import hand_on

    try:
        hand_on(store.home)
        compact_served(store.home)
    except AssayError as error:
        logging.getLogger("assay").warning("files of rows are not uploaded or compacted now, but later: %s", error.what)


def _drain_once(store: Store) -> None:
    from assay.predictions import drain_predictions

    _log_damage(drain_predictions(store.home).damaged)


def _log_damage(damaged: list[str]) -> None:
    import logging

    for line in damaged:
        logging.getLogger("assay").error("damaged spool segment: %s", line)
