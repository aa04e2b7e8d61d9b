"""What `assay up` serves over HTTP."""

from assay.web.server import up

__all__ = ["up"]
