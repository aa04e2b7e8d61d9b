"""Days and times of PostgreSQL that Python does not have, read as the first or last that it has."""

from datetime import UTC, date, datetime
from typing import Any

_AWARE = {b"infinity": datetime.max.replace(tzinfo=UTC), b"-infinity": datetime.min.replace(tzinfo=UTC)}
_NAIVE = {word: moment.replace(tzinfo=None) for word, moment in _AWARE.items()}
_DAYS = {b"infinity": date.max, b"-infinity": date.min}


def read_infinity(connection: Any) -> None:
    """Let a connection of psycopg read infinity in place of an error."""
    from psycopg.types.datetime import DateLoader, TimestampLoader, TimestamptzLoader

    class Day(DateLoader):
        def load(self, data: Any) -> date:
            known = _DAYS.get(bytes(data))
            return super().load(data) if known is None else known

    class Naive(TimestampLoader):
        def load(self, data: Any) -> datetime:
            known = _NAIVE.get(bytes(data))
            return super().load(data) if known is None else known

    class Aware(TimestamptzLoader):
        def load(self, data: Any) -> datetime:
            known = _AWARE.get(bytes(data))
            return super().load(data) if known is None else known

    for name, loader in (("date", Day), ("timestamp", Naive), ("timestamptz", Aware)):
        connection.adapters.register_loader(name, loader)
