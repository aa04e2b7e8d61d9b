"""Log records: JSON lines in a file of this process, and lines for people on the terminal."""

from assay.logs.setup import setup

__all__ = ["setup"]
