"""Names that a mirror to Weights & Biases writes and an import from it knows."""

#: In the configuration: what of a run has no field there.
RUN = "assay.run"
#: In a row of the history: the step and the time, where those of Weights & Biases can't hold them.
STEP, AT = "assay.step", "assay.at_us"
_KEPT = frozenset({"_step", "_timestamp", "_runtime", "_wandb", STEP, AT})
THEIRS = "metrics whose names Weights & Biases keeps for itself"


def is_theirs(name: str) -> bool:
    """Whether a value of the history is none that was logged."""
    return name in _KEPT
