import pyarrow as pa
from pyspark.sql.types import DataType

def from_arrow_type(at: pa.DataType) -> DataType: ...
