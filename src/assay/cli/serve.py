"""`assay serve`, `assay send` and `assay drain`."""

import sys
import threading

import click

from assay.cli.command import command, console, print_json
from assay.errors import Corrupt
from assay.store import Store

DRAIN_EVERY_S = 2.0


@command(json=False)
@click.argument("model")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8401, show_default=True)
@click.option("--rotate", default="30s", show_default=True, help="How long a spool segment stays open.")
def serve(store: Store, model: str, host: str, port: int, rotate: str) -> None:
    r"""Answer predictions of MODEL's champion over HTTP until Ctrl-C; a new champion is adopted while it runs.

    \b
    Example: assay serve flight-delay --port 8401
    """
    from assay.serve import serve as serve_model
    from assay.times import duration

    def ready(address: str) -> None:
        click.echo(f"{model} answers at {address}/predict; stop it with Ctrl-C")

    serve_model(store, model, host=host, port=port, rotate_s=duration(rotate).total_seconds(), ready=ready)


@command()
@click.argument("model")
@click.option("--day", required=True, help="Send the rows whose event time lies on this UTC day.")
@click.option("--url", default="http://127.0.0.1:8401", show_default=True)
@click.option("--table", help="Where the rows are; the model's own table when omitted.")
@click.option("--fault", help="Change a share of the rows, like 'distance*1.609344:5%' or 'scheduled+5h:5%'.")
@click.option("--seed", default=1, show_default=True, help="Which rows the fault hits.")
def send(
    store: Store, model: str, day: str, url: str, table: str | None, fault: str | None, seed: int, as_json: bool
) -> int:
    r"""Send a day of real rows to a server, one request a row; with --fault, a drill: does `assay skew` find it?

    \b
    Example: assay send flight-delay --day 2013-12-30 --fault 'distance*1.609344:5%'
    """
    from assay.serve.send import send_day

    sent = send_day(store, model, url, day, table=table, fault=fault, seed=seed, progress=_progress(quiet=as_json))
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
@click.option("--follow", is_flag=True, help="Go on until stdin ends; `assay serve` starts one such beside itself.")
def drain(store: Store, follow: bool, as_json: bool) -> None:
    r"""Move served rows from spool segments that nobody writes any more into the tables; harmless to repeat.

    \b
    Example: assay drain
    """
    from assay.predictions import drain_predictions

    ended = threading.Event()
    if follow:
        threading.Thread(target=lambda: (sys.stdin.buffer.read(), ended.set()), daemon=True).start()
    while follow and not ended.wait(DRAIN_EVERY_S):
        _log_damage(drain_predictions(store.home).damaged)
    done = drain_predictions(store.home)
    if follow:
        _log_damage(done.damaged)
        return
    if as_json:
        print_json(done)
    else:
        torn = f", {done.torn_bytes} bytes of a record never acknowledged cut off" if done.torn_bytes else ""
        console().print(f"{done.records:,} rows of {done.segments} segments drained{torn}")
    if done.damaged:
        raise Corrupt(
            "a spool segment is damaged", *done.damaged, do="Its whole records are drained; look at the disk."
        )


def _log_damage(damaged: list[str]) -> None:
    import logging

    for line in damaged:
        logging.getLogger("assay").error("damaged spool segment: %s", line)
