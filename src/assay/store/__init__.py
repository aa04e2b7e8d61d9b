"""Where things are kept: metadata in a database, artifacts as content-addressed files, rows in spools and Parquet."""

from assay.store.artifacts import Artifacts
from assay.store.database import Database
from assay.store.home import Home, find_home
from assay.store.place import Store, current, use

__all__ = ["Artifacts", "Database", "Home", "Store", "current", "find_home", "use"]
