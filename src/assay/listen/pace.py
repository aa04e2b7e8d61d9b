"""How far a client may fall behind."""

from dataclasses import dataclass


@dataclass
class Pace:
    """Seconds in hand: each second of waiting costs one, each byte earns a little, and nobody saves more than the first.

    So a client that is silent is cut off after `most_s` seconds, and so is one that sends less than `rate` bytes a
    second on average, however it spreads them.

    >>> pace = Pace(most_s=20, rate=1000)
    >>> pace.keeps_up(waited_s=15, moved=0), pace.keeps_up(waited_s=15, moved=30_000), pace.keeps_up(21, 0)
    (True, True, False)
    """

    most_s: float
    rate: int
    _left_s: float = -1.0

    def __post_init__(self) -> None:
        self._left_s = self.most_s

    def keeps_up(self, waited_s: float, moved: int) -> bool:
        """Whether the client may go on after `waited_s` seconds in which `moved` bytes came."""
        self._left_s = min(self.most_s, self._left_s - waited_s + moved / self.rate)
        return self._left_s >= 0
