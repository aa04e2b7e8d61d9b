"""MLflow's error codes."""

from assay.errors import AssayError, BadInput, Corrupt, NotFound, Taken, Unavailable
from assay.listen import TooLarge

STATUS = {
    "INTERNAL_ERROR": 500,
    "TEMPORARILY_UNAVAILABLE": 503,
    "NOT_IMPLEMENTED": 501,
    "RESOURCE_DOES_NOT_EXIST": 404,
    "ENDPOINT_NOT_FOUND": 404,
    "PERMISSION_DENIED": 403,
    "UNAUTHENTICATED": 401,
    "RESOURCE_ALREADY_EXISTS": 400,
    "INVALID_PARAMETER_VALUE": 400,
    "BAD_REQUEST": 400,
    "INVALID_STATE": 500,
}


class MlflowError(BadInput):
    """A refusal that has a code of MLflow's."""

    def __init__(self, code: str, what: str) -> None:
        self.code = code
        super().__init__(what)


def invalid(what: str) -> MlflowError:
    """Something given can't be worked with."""
    return MlflowError("INVALID_PARAMETER_VALUE", what)


def missing(what: str) -> MlflowError:
    """Something named is not there."""
    return MlflowError("RESOURCE_DOES_NOT_EXIST", what)


def taken(what: str) -> MlflowError:
    """A name is in use."""
    return MlflowError("RESOURCE_ALREADY_EXISTS", what)


def code_of(error: AssayError) -> tuple[int, str]:
    """HTTP status and MLflow's code of an error of ours."""
    if isinstance(error, MlflowError):
        return STATUS[error.code], error.code
    if isinstance(error, TooLarge):
        return 413, "BAD_REQUEST"
    if isinstance(error, Taken):
        return 400, "RESOURCE_ALREADY_EXISTS"
    if isinstance(error, NotFound):
        return 404, "RESOURCE_DOES_NOT_EXIST"
    if isinstance(error, BadInput):
        return 400, "INVALID_PARAMETER_VALUE"
    if isinstance(error, Unavailable) and not isinstance(error, Corrupt):
        return 503, "TEMPORARILY_UNAVAILABLE"
    return 500, "INTERNAL_ERROR"
