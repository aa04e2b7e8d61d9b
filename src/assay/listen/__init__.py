"""What `assay up` and `assay serve` share: a port, a server with bounds, bodies within a budget, an orderly end.

`limits` says every bound, `protocol` holds clients to them, `head` reads what decides whether a request is looked at.
"""

from assay.listen.bodies import Body, Budget, TooLarge
from assay.listen.head import Hosts, Refusal, head_of
from assay.listen.port import listen
from assay.listen.server import Ending, Tls, serve_until_ended

__all__ = ["Body", "Budget", "Ending", "Hosts", "Refusal", "Tls", "TooLarge", "head_of", "listen", "serve_until_ended"]
