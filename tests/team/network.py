"""Machines and the lines between them and a server: far away, cut, or silent, as a test wants them.

A machine is a network namespace with nothing but a loopback, where the kernel lets us make one: its lines are all that
it reaches. Elsewhere it is a port of this machine's loopback.
"""

import asyncio
import ctypes
import os
import socket
import subprocess
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Literal, TypeVar

T = TypeVar("T")
State = Literal["open", "refusing", "hanging"]
Address = str | tuple[str, int]
_CLONE_NEWNET = 0x40000000
_PIECE = 1 << 16
#: What a client of ours does not wait for the answer to.
_UNAWAITED = b"Q\0\0\0\rROLLBACK\0"


class Namespace:
    """A network of its own, or this machine's where the kernel does not allow one."""

    def __init__(self) -> None:
        self._fd: int | None = None

    @classmethod
    def of_this_machine(cls) -> "Namespace":
        return cls()

    @classmethod
    def new(cls) -> "Namespace":
        made = cls()
        made._in_thread(made._make)
        return made

    @property
    def is_own(self) -> bool:
        return self._fd is not None

    def _make(self) -> None:
        with suppress(OSError):
            _checked(ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNET))
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
            self._fd = os.open("/proc/thread-self/ns/net", os.O_RDONLY)

    def inside(self, work: Callable[[], T]) -> T:
        """What `work` gives in this network; sockets and processes that it makes stay there."""

        def entered() -> T:
            if self._fd is not None:
                _checked(ctypes.CDLL(None, use_errno=True).setns(self._fd, _CLONE_NEWNET))
            return work()

        return self._in_thread(entered)

    def _in_thread(self, work: Callable[[], T]) -> T:
        """In a thread that ends afterwards, for a thread that has entered a network does not come back."""
        done: list[T] = []
        failed: list[BaseException] = []

        def run() -> None:
            try:
                done.append(work())
            except BaseException as error:  # noqa: BLE001
                failed.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        if failed:
            raise failed[0]
        return done[0]

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)


def _checked(result: int) -> None:
    if result:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


class Line:
    """A line from a machine to a server, some milliseconds long, which counts the turns that are made on it.

    A turn is what waits for an answer: the server speaks after the client did. The handshake of TCP is none.
    """

    def __init__(self, target: Address, machine: Namespace, *, delay_s: float = 0.0) -> None:
        self.delay_s = delay_s
        self.turns = 0
        self.connections = 0
        self._target = target
        self._machine = machine
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._tasks: set[asyncio.Task[None]] = set()
        listening = machine.inside(lambda: socket.create_server(("127.0.0.1", 0)))
        self.port: int = listening.getsockname()[1]
        self._server = self._do(self._listen(listening))
        self.state: State = "open"

    def set(self, state: State) -> None:
        """Cut the line, still it, or open it again. One that hangs takes connections and what is sent, and says nothing."""
        before, self.state = self.state, state
        if state == "refusing":
            self._do(self._cut())
        elif before == "refusing":
            listening = self._machine.inside(lambda: socket.create_server(("127.0.0.1", self.port)))
            self._server = self._do(self._listen(listening))
        elif before == "hanging":
            self._do(self._cut_connections())  # those that hung are dead: their server has given them up

    def close(self) -> None:
        self._do(self._cut())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _listen(self, listening: socket.socket) -> asyncio.Server:
        return await asyncio.start_server(self._connected, sock=listening)

    async def _cut(self) -> None:
        self._server.close()
        await self._cut_connections()

    async def _cut_connections(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._carried(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carried(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        far_writer = None
        try:
            while self.state == "hanging":
                await asyncio.sleep(0.05)
            if isinstance(self._target, str):
                far_reader, far_writer = await asyncio.open_unix_connection(self._target)
            else:
                far_reader, far_writer = await asyncio.open_connection(*self._target)
            said = [False]
            ways = [
                asyncio.ensure_future(self._pump(reader, far_writer, said, mine=True)),
                asyncio.ensure_future(self._pump(far_reader, writer, said, mine=False)),
            ]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        except OSError:
            pass
        finally:
            for one in (writer, far_writer):
                if one is not None:
                    one.transport.abort()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, said: list[bool], *, mine: bool
    ) -> None:
        """Carry one direction; what is carried arrives `delay_s` later, however much is on the way."""
        on_the_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        deliver = asyncio.ensure_future(self._deliver(on_the_way, writer))
        try:
            while piece := await reader.read(_PIECE):
                self.turns += said[0] and not mine
                said[0] = mine and (said[0] or piece != _UNAWAITED)
                on_the_way.put_nowait((self._loop.time() + self.delay_s, piece))
            on_the_way.put_nowait((self._loop.time() + self.delay_s, b""))
            await deliver
        except OSError:
            pass
        finally:
            deliver.cancel()

    async def _deliver(self, on_the_way: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
        while True:
            due, piece = await on_the_way.get()
            await asyncio.sleep(max(0.0, due - self._loop.time()))
            while self.state == "hanging":
                await asyncio.sleep(0.05)
            if not piece:
                return
            writer.write(piece)
            await writer.drain()
