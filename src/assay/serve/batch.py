"""Answers the requests that arrive together at once: numpy columns cost as much for one row as for a dozen.

Nobody waits for a batch to fill: it holds what one turn of the event loop found, so a lone request is a batch of one.
Blessing has compared each feature of a row alone with the same row in a batch, so nobody gets another answer for it.
"""

import asyncio
from dataclasses import dataclass

from assay import context
from assay.serve.answer import NotLogged, PredictionRequest, Served, answer_all

#: So that no answer is much later than it would be alone.
MAX_ROWS = 64


@dataclass(frozen=True, slots=True)
class _Waiting:
    request: PredictionRequest
    said: "asyncio.Future[bytes]"

    def set(self, said: bytes | Exception) -> None:
        """Hand over the answer, unless nobody waits for it any more."""
        if self.said.done():
            return
        if isinstance(said, Exception):
            self.said.set_exception(said)
        else:
            self.said.set_result(said)


class Batcher:
    """Collects requests until the event loop has handed over all that it read."""

    def __init__(self) -> None:
        self._served: Served | None = None
        self._waiting: list[_Waiting] = []
        self._rows = 0

    async def answer(self, served: Served, request: PredictionRequest) -> bytes:
        """The answer, as `answer_all` gives and raises it."""
        rows = len(request.decoded.rows)
        if self._waiting and (served is not self._served or self._rows + rows > MAX_ROWS):
            self._answer()
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._answer)
        waiting = _Waiting(request, loop.create_future())
        self._served, self._rows = served, self._rows + rows
        self._waiting.append(waiting)
        return await waiting.said

    def _answer(self) -> None:
        served, waiting = self._served, self._waiting
        self._served, self._waiting, self._rows = None, [], 0
        if served is None:
            return  # the batch was full before its turn
        if not _answered(served, waiting):
            for one in waiting:
                _answer_alone(served, one)


def _answered(served: Served, waiting: list[_Waiting]) -> bool:
    """False when one of several requests failed them all, and each must be asked by itself."""
    if len(waiting) == 1:
        _answer_alone(served, waiting[0])
        return True
    token = context.request_id.set(None)  # what is logged now belongs to no single request
    try:
        said = answer_all(served, [one.request for one in waiting])
    except NotLogged as error:
        said = [error] * len(waiting)
    except Exception:  # noqa: BLE001 - it is raised again by the request that it belongs to
        return False
    finally:
        context.request_id.reset(token)
    for one, text in zip(waiting, said, strict=True):
        one.set(text)
    return True


def _answer_alone(served: Served, one: _Waiting) -> None:
    with context.within(context.request_id, one.request.id):
        try:
            (said,) = answer_all(served, [one.request])
        except Exception as error:  # noqa: BLE001 - raised where the request waits
            one.set(error)
        else:
            one.set(said)
