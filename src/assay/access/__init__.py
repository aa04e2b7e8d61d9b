"""Who may ask a server what: tokens, their scopes, and the guard that looks before anything is read."""

from assay.access.guard import Guard, guarding
from assay.access.rights import Right, Scope, may
from assay.access.tokens import Token, make_token, remove_token, tokens

__all__ = ["Guard", "Right", "Scope", "Token", "guarding", "make_token", "may", "remove_token", "tokens"]
