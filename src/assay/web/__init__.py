"""What `assay up` serves over HTTP."""

from assay.web.server import up
from assay.web.tokens import make_token, remove_token, tokens

__all__ = ["make_token", "remove_token", "tokens", "up"]
