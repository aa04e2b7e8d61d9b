"""URIs that clients name. The server never opens one: it only decides whether it may be kept."""

from urllib.parse import urlsplit

from assay.web.mlflow.ask import safe_path
from assay.web.mlflow.errors import invalid

PROXIED = "mlflow-artifacts"
#: Stores that a client opens itself, with rights of its own.
_REMOTE = frozenset({"s3", "gs", "wasbs", "abfss", "hdfs", "viewfs", "dbfs", "r2", "b2"})
_LONGEST = 1000


def check_location(uri: str | None) -> str | None:
    """Where a client wants artifacts to be, or None for here. Raises an error of MLflow's for what is not safe."""
    if not uri:
        return None
    return check_uri(uri, frozenset({PROXIED}) | _REMOTE)


def check_uri(uri: str, schemes: frozenset[str] = _REMOTE | {PROXIED, "runs", "models"}) -> str:
    """A URI of one of the schemes, whose path leaves nothing. Files of this machine and web pages are refused."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        raise invalid(f"Invalid URI: {uri[:100]!r}") from None
    if parts.scheme.lower() not in schemes or len(uri) > _LONGEST:
        known = ", ".join(sorted(schemes))
        raise invalid(f"Invalid URI: {uri[:100]!r}. Its scheme must be one of {known}; local files are refused.")
    if parts.query or parts.fragment or (parts.scheme == PROXIED and parts.netloc):
        raise invalid(f"Invalid URI: {uri[:100]!r}. It must have no query, fragment or foreign host.")
    if parts.path.strip("/"):
        safe_path(parts.path.strip("/"))
    return uri
