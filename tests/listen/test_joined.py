"""The head of an answer travels with its body, and never waits for one that comes later."""

import asyncio

from assay.listen.joined import Joined


class Recorder(asyncio.Transport):
    """Remembers what is done to it."""

    def __init__(self) -> None:
        super().__init__()
        self.done: list[object] = []

    def write(self, data) -> None:
        self.done.append(data)

    def writelines(self, list_of_data) -> None:
        self.done.append(tuple(list_of_data))

    def write_eof(self) -> None:
        self.done.append("eof")

    def close(self) -> None:
        self.done.append("close")

    def get_write_buffer_size(self) -> int:
        return 7


def test_two_pieces_of_one_turn_are_sent_together_and_one_alone_when_the_turn_ends() -> None:
    async def answered() -> list[object]:
        recorder = Recorder()
        joined = Joined(recorder, asyncio.get_running_loop())
        for piece in (b"head", memoryview(b"body"), b"next head", b"next body", b"alone"):
            joined.write(piece)
        assert recorder.done == [(b"head", b"body"), (b"next head", b"next body")]
        assert joined.get_write_buffer_size() == 7
        await asyncio.sleep(0)
        return recorder.done

    assert asyncio.run(answered())[2:] == [b"alone"]


def test_what_is_held_is_sent_before_the_end() -> None:
    async def ended() -> list[list[object]]:
        both: list[list[object]] = []
        for end in (Joined.close, Joined.write_eof):
            recorder = Recorder()
            joined = Joined(recorder, asyncio.get_running_loop())
            joined.write(b"head")
            end(joined)
            await asyncio.sleep(0)
            both.append(recorder.done)
        return both

    assert asyncio.run(ended()) == [[b"head", "close"], [b"head", "eof"]]
