"""dbt projects: their sources and generic tests, asked without dbt and answered as dbt answers.

`check_project` reads a project and asks its warehouse; `render` prints the `DbtReport`.
"""

from assay.errors import BadInput

try:
    import jinja2  # noqa: F401  # pyright: ignore[reportUnusedImport]
    import yaml  # noqa: F401  # pyright: ignore[reportUnusedImport]
except ModuleNotFoundError as missing:
    raise BadInput(
        "dbt projects can't be read: a part is not installed", str(missing), do='Run: pip install "assay[dbt]"'
    ) from None

from assay.dbt.render import render
from assay.dbt.report import DbtReport, DbtResult, NotRead
from assay.dbt.run import check_project

__all__ = ["DbtReport", "DbtResult", "NotRead", "check_project", "render"]
