"""Answers that nobody keeps."""

from datetime import datetime
from typing import Any


class NoLog:
    """In place of a prediction log: rows are answered and not kept."""

    dropping = False
    dropped = 0
    last_dropped: datetime | None = None

    def append_rows(self, *_: Any) -> bool:
        """Nothing is dropped that was to be kept."""
        return True

    def tick(self) -> None:
        """There is no segment to close."""

    def close(self) -> None:
        """There is nothing to close."""
