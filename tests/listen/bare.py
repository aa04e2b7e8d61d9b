"""A server with bounds of its own choice around an application that repeats what it is sent; a script."""

import json
import sys

from assay.listen import Budget, Ending, listen, serve_until_ended
from assay.listen.bodies import Body, Gone
from assay.listen.limits import Limits


async def repeat(scope, receive, send):
    if scope["path"] == "/much":
        size = 64 << 20
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % size)]})
        for _ in range(1024):
            await send({"type": "http.response.body", "body": b"x" * (size >> 10), "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        return
    if scope["path"] == "/refused":
        await answer(send, 403, b"no")
        return
    try:
        with Body(Budget(1 << 20), 4 << 20) as body:
            said = await body.read(receive)
    except Gone:
        return
    await answer(send, 200, said or b"empty")


async def answer(send, status, body):
    length = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": status, "headers": [length]})
    await send({"type": "http.response.body", "body": body})


with Ending() as ending, listen("127.0.0.1", 0) as listener:
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    serve_until_ended(repeat, listener, ending, limits=Limits(**json.loads(sys.argv[1])))
