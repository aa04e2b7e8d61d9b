"""What an import or a mirror reports: what came, what was there, what was left out, and what has to be done again."""

from dataclasses import dataclass, field


@dataclass
class Shortfalls:
    """What did not come or go, and why."""

    #: What there is no place for, by the reason; doing it again changes nothing.
    left_out: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    #: What stands here under the same name or id already, by the reason, which says what to do.
    refused: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    #: Runs and models that are not whole, with what is missing and why; the next time goes on with them.
    unfinished: dict[str, list[str]] = field(default_factory=dict[str, list[str]])

    @property
    def complete(self) -> bool:
        """Whether nothing was refused and nothing is unfinished."""
        return not self.refused and not self.unfinished

    def leave_out(self, why: str, what: str) -> None:
        """Remember what has no place."""
        self.left_out.setdefault(why, []).append(what)

    def refuse(self, why: str, what: str) -> None:
        """Remember what would have overwritten something else."""
        self.refused.setdefault(why, []).append(what)

    def leave_unfinished(self, what: str, why: str) -> None:
        """Remember what is missing of a run or a model."""
        self.unfinished.setdefault(what, []).append(why)


@dataclass
class Summary(Shortfalls):
    """What an import brought."""

    source: str = ""
    #: Experiments that were looked at.
    experiments: int = 0
    #: Runs that came, that changed since they came, and that are as they were.
    runs: int = 0
    runs_changed: int = 0
    runs_unchanged: int = 0
    points: int = 0
    artifacts: int = 0
    artifact_bytes: int = 0
    #: Logged models and registered models that came or changed.
    logged_models: int = 0
    registered_models: int = 0
    #: Experiments whose tags or state came or changed.
    experiments_changed: int = 0
    #: What the source holds and Assay has no place for.
    left_out_counts: dict[str, int] = field(default_factory=dict[str, int])

    @property
    def changed(self) -> bool:
        """Whether anything of this store is other than before."""
        return bool(
            self.runs
            or self.runs_changed
            or self.logged_models
            or self.registered_models
            or self.experiments_changed
            or self.artifacts
        )


@dataclass
class Mirrored(Shortfalls):
    """What a mirror sent."""

    server: str = ""
    runs: int = 0
    runs_changed: int = 0
    runs_unchanged: int = 0
    points: int = 0
    artifacts: int = 0
    artifact_bytes: int = 0

    @property
    def changed(self) -> bool:
        """Whether anything was sent."""
        return bool(self.runs or self.runs_changed)
