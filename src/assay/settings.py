"""Every environment variable that Assay reads: what it decides and its default. The page of configuration is made from this."""

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Variable:
    """An environment variable that Assay reads."""

    name: str
    decides: str
    #: What holds when it is not set, in words.
    default: str


VARIABLES = (
    Variable(
        "ASSAY_HOME",
        "The state folder. `--home` takes precedence.",
        "`.assay` of this folder or of the nearest one above that has one",
    ),
    Variable(
        "ASSAY_DATABASE",
        "The metadata database: `sqlite:///PATH` or `postgresql://USER@HOST/DATABASE`.",
        "`assay.db` in the state folder",
    ),
    Variable(
        "ASSAY_ARTIFACTS",
        "Where artifacts are stored: a folder relative to the project, `file:///FOLDER` or `s3://BUCKET/PREFIX`.",
        "`artifacts/` in the state folder",
    ),
    Variable("ASSAY_TOKEN", "The token that `assay send` gives to a server; `assay tokens add` makes one.", "none"),
    Variable("ASSAY_LOG_LEVEL", "The level of the log file: DEBUG, INFO, WARNING or ERROR.", "INFO"),
    Variable("AWS_ACCESS_KEY_ID", "The key for S3, with `AWS_SECRET_ACCESS_KEY`.", "the role of the machine"),
    Variable("AWS_SECRET_ACCESS_KEY", "The secret of the key for S3.", "the role of the machine"),
    Variable("AWS_SESSION_TOKEN", "The token of temporary credentials for S3.", "none"),
    Variable("AWS_REGION", "The region of the bucket.", "us-east-1"),
    Variable(
        "AWS_ENDPOINT_URL_S3",
        "The URL of another server with the API of S3. `AWS_ENDPOINT_URL` and then `AWS_ENDPOINT` are read when it is not set.",
        "AWS",
    ),
    Variable("AWS_ENDPOINT_URL", "See `AWS_ENDPOINT_URL_S3`.", "AWS"),
    Variable("AWS_ENDPOINT", "See `AWS_ENDPOINT_URL_S3`.", "AWS"),
    Variable(
        "MLFLOW_TRACKING_USERNAME",
        "`assay import mlflow` and `assay mirror mlflow`: the user name for the other server.",
        "the URL",
    ),
    Variable("MLFLOW_TRACKING_PASSWORD", "The password that belongs to `MLFLOW_TRACKING_USERNAME`.", "the URL"),
    Variable(
        "MLFLOW_TRACKING_TOKEN",
        "`assay import mlflow` and `assay mirror mlflow`: a token for the other server.",
        "none",
    ),
    Variable(
        "DBT_PROFILES_DIR",
        "`assay check --dbt`: the folder of `profiles.yml`.",
        "the project's folder, then `~/.dbt`",
    ),
    Variable(
        "DBT_TARGET_PATH",
        "`assay check --dbt`: the folder in which dbt left `manifest.json` and its compiled SQL.",
        "`target-path` of `dbt_project.yml`, then `target`",
    ),
)
_KNOWN = {one.name for one in VARIABLES}


def setting(name: str) -> str:
    """The value of a variable of the table; "" when it is not set."""
    if name not in _KNOWN:
        raise LookupError(name)
    return os.environ.get(name, "")
