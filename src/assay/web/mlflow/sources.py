"""URIs that clients name. The server never opens one: it only decides whether it may be kept."""

from urllib.parse import SplitResult, urlsplit

from assay.web.mlflow.ask import safe_path
from assay.web.mlflow.errors import invalid

PROXIED, OF_RUNS, OF_MODELS = "mlflow-artifacts", "runs", "models"
#: Stores that a client opens itself, with rights of its own; of some, by a plugin of MLflow's.
_REMOTE = frozenset({"s3", "gs", "wasb", "wasbs", "abfs", "abfss", "adl", "hdfs", "viewfs", "dbfs", "r2", "b2"}) | {
    "azureml",
    "cos",
    "minio",
    "oci",
    "oss",
    "swift",
    "uc-volume",
}
_LONGEST = 1000


def check_location(uri: str | None) -> str | None:
    """Where a client wants artifacts to be, or None for here. Raises an error of MLflow's for what is not safe."""
    if not uri:
        return None
    _checked(uri, _REMOTE | {PROXIED})
    return uri


def check_source(uri: str) -> str:
    """Where the files of a version are, by an absolute path. Raises an error of MLflow's for what is not safe."""
    parts = _checked(uri, _REMOTE | {PROXIED, OF_RUNS, OF_MODELS})
    if not parts.path.startswith("/") or not parts.path.strip("/"):
        raise invalid(f"Invalid model version source: {uri[:100]!r}. It must have an absolute path.")
    return uri


def _checked(uri: str, schemes: frozenset[str]) -> SplitResult:
    """The parts of a URI of one of the schemes, whose path leaves nothing. Files of this machine and web pages fail."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        raise invalid(f"Invalid URI: {uri[:100]!r}") from None
    if parts.scheme.lower() not in schemes or len(uri) > _LONGEST:
        known = ", ".join(sorted(schemes))
        raise invalid(f"Invalid URI: {uri[:100]!r}. Its scheme must be one of {known}; local files are refused.")
    if parts.query or parts.fragment or (parts.netloc and parts.scheme.lower() in (PROXIED, OF_RUNS, OF_MODELS)):
        raise invalid(f"Invalid URI: {uri[:100]!r}. It must have no query, fragment or foreign host.")
    if parts.path.strip("/"):
        safe_path(parts.path.strip("/"))
    return parts
