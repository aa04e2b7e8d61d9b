"""One opening of any table, in the engine that holds it: files, frames, a database, Spark.

`open_table` gives a `Table`, which answers queries, `using` does so for the length of a block; `read` gives the rows of a contract as an Arrow table.
"""

from assay.tables.csv_files import csv_source as csv
from assay.tables.frame import Frame, as_table, name_of
from assay.tables.opened import Target, damaged, open_table, using
from assay.tables.read_rows import read
from assay.tables.table import CantAsk, Table

__all__ = [
    "CantAsk",
    "Frame",
    "Table",
    "Target",
    "as_table",
    "csv",
    "damaged",
    "name_of",
    "open_table",
    "read",
    "using",
]
