"""Online prediction from the champion; every answered row is in the prediction log before its answer leaves."""

from assay.serve.app import App
from assay.serve.server import serve

__all__ = ["App", "serve"]
