"""The same table in many forms: files of several writers, frames, databases. Each says what it can't keep."""

import gzip
import json
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.dataset
import pyarrow.feather
import pyarrow.parquet as pq
from cases import FORMAT, Case, Row, arrow, is_missing

from assay.contract.formats.sql import quoted

#: Texts that a CSV file shows as something else: missing, or a number where all are.
_NOT_IN_CSV = ("", "NA")
_LIKE_OTHERS = ("0012", "NULL")


@dataclass(frozen=True)
class Form:
    """A form of a table: how it is written, and what of the rows is kept."""

    write: Callable[[pa.Table, Path, Random], Any]
    #: The rows and kinds as they can be read from it; kinds that it can't hold are left out.
    keeps: Callable[[dict[str, str], list[Row]], tuple[dict[str, str], list[Row]]] = lambda kinds, rows: (kinds, rows)
    #: A table without rows can be read from it.
    empty: bool = True


def _without(kinds: dict[str, str], rows: list[Row], *lost: str) -> tuple[dict[str, str], list[Row]]:
    kept = {name: kind for name, kind in kinds.items() if kind not in lost}
    return kept, [{name: row[name] for name in kept} for row in rows]


def _as_real(kinds: dict[str, str], rows: list[Row], *exact: str) -> tuple[dict[str, str], list[Row]]:
    """Decimals become floats."""
    made = {name: "real" if kind in exact else kind for name, kind in kinds.items()}
    changed = [name for name, kind in kinds.items() if kind in exact]
    return made, [row | {name: None if row[name] is None else float(row[name]) for name in changed} for row in rows]


def _csv(kinds: dict[str, str], rows: list[Row]) -> tuple[dict[str, str], list[Row]]:
    """A CSV file has no types: what is no longer told apart is left out, and names that hold another delimiter."""
    kinds, rows = _renamed(kinds, rows)
    kinds, rows = _as_real(*_without(kinds, rows, "short", "category"), "money", "digits")
    # DuckDB reads no float as small from a text.
    lost = {name for row in rows for name, value in row.items() if value == 5e-324}
    kinds = {name: kind for name, kind in kinds.items() if name not in lost}
    rows = [{name: None if row[name] in _NOT_IN_CSV else row[name] for name in kinds} for row in rows]
    kept = {name: kind for name, kind in kinds.items() if _shows_its_kind(kind, [row[name] for row in rows])}
    return kept, [{name: row[name] for name in kept} for row in rows]


def _renamed(kinds: dict[str, str], rows: list[Row]) -> tuple[dict[str, str], list[Row]]:
    kept = {name: kind for name, kind in kinds.items() if not set(name) & set(";\t|,")}
    return kept, [{name: row[name] for name in kept} for row in rows]


def _shows_its_kind(kind: str, values: list[Any]) -> bool:
    known = [value for value in values if not is_missing(value)]
    if kind == "text":
        return any(value not in _LIKE_OTHERS for value in known)
    if kind == "written":
        return any(not _is_written(value) for value in known)  # else DuckDB reads them as times
    if kind in ("time", "naive"):
        return any(value.hour or value.minute for value in known)
    return bool(known)


def _is_written(text: str) -> bool:
    try:
        return bool(datetime.strptime(text, FORMAT))  # noqa: DTZ007
    except ValueError:
        return False


def _json(kinds: dict[str, str], rows: list[Row]) -> tuple[dict[str, str], list[Row]]:
    kinds, rows = _as_real(*_without(kinds, rows, "short", "category"), "money", "digits")
    rows = [{name: None if is_missing(value) else value for name, value in row.items()} for row in rows]
    kept = {
        name: kind
        for name, kind in kinds.items()
        if _shows_its_kind(kind, values := [row[name] for row in rows])
        and float("inf") not in values
        and -float("inf") not in values
    }
    return kept, [{name: row[name] for name in kept} for row in rows]


def _pandas(kinds: dict[str, str], rows: list[Row]) -> tuple[dict[str, str], list[Row]]:
    """A column of whole numbers in which one is missing is one of floats; missing truths make objects."""
    made, changed = dict(kinds), list[str]()
    for name, kind in kinds.items():
        if kind in ("whole", "small", "unsigned", "epoch") and any(row[name] is None for row in rows):
            made[name] = "real" if kind != "epoch" else "epoch"
            changed.append(name)
    rows = [row | {name: None if row[name] is None else float(row[name]) for name in changed} for row in rows]
    return made, rows


def _sqlite(kinds: dict[str, str], rows: list[Row]) -> tuple[dict[str, str], list[Row]]:
    return _as_real(*_without(kinds, rows, "time", "category"), "money", "digits", "short")


def _pieces(table: pa.Table, dice: Random) -> Iterator[pa.Table]:
    count = dice.choice([1, 1, 2, 3])
    edges = sorted(dice.randint(0, len(table)) for _ in range(count - 1))
    for start, end in zip([0, *edges], [*edges, len(table)], strict=True):
        yield table.slice(start, end - start)


def _parquet_of_pyarrow(table: pa.Table, path: Path, dice: Random) -> str:
    path.mkdir()
    for i, piece in enumerate(_pieces(table, dice)):
        pq.write_table(
            piece,
            path / f"part-{i}.parquet",
            row_group_size=dice.choice([1, 3, 1000]),
            write_statistics=dice.choice([True, False, piece.column_names[:1]]),
            use_dictionary=dice.choice([True, False]),
            version=dice.choice(["1.0", "2.6"]) if not _has(piece, pa.types.is_uint32) else "2.6",
            data_page_version=dice.choice(["1.0", "2.0"]),
            store_schema=dice.choice([True, False]),
            compression=dice.choice(["snappy", "zstd", "none"]),
        )
    return str(path)


def _has(table: pa.Table, of: Callable[[pa.DataType], bool]) -> bool:
    return any(of(field.type) for field in table.schema)


def _parquet_of_polars(table: pa.Table, path: Path, dice: Random) -> str:
    frame = pl.from_arrow(table)
    frame.write_parquet(path, statistics=dice.choice([True, False, "full"]), row_group_size=dice.choice([None, 1, 4]))
    return str(path)


def _parquet_of_duckdb(table: pa.Table, path: Path, dice: Random) -> str:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("given", table)
        version, size = dice.choice(["V1", "V2"]), dice.choice([2048, 100_000])
        connection.execute(f"COPY given TO '{path}' (FORMAT parquet, PARQUET_VERSION {version}, ROW_GROUP_SIZE {size})")
    return str(path)


def _parquet_of_pandas(table: pa.Table, path: Path, dice: Random) -> str:
    table.to_pandas(date_as_object=True).to_parquet(path, index=dice.choice([None, False]))
    return str(path)


def _delimiter(table: pa.Table, dice: Random, *known: str) -> str:
    """A header of one column tells no delimiter, and a comma is assumed."""
    return dice.choice(known) if table.num_columns > 1 else ","


def _csv_of_pyarrow(table: pa.Table, path: Path, dice: Random) -> str:
    options = pa.csv.WriteOptions(
        delimiter=_delimiter(table, dice, ",", ";", "\t", "|"), quoting_style=dice.choice(["needed", "all_valid"])
    )
    pa.csv.write_csv(_plain_decimals(table), path, options)
    return str(path)


def _plain_decimals(table: pa.Table) -> pa.Table:
    for i, field in enumerate(table.schema):
        if pa.types.is_decimal(field.type):
            table = table.set_column(i, field.name, table[field.name].cast(pa.float64()))
    return table


def _csv_of_polars(table: pa.Table, path: Path, dice: Random) -> str:
    frame = pl.from_arrow(table)
    frame.write_csv(
        path,
        separator=_delimiter(table, dice, ",", ";"),
        quote_style=dice.choice(["necessary", "non_numeric", "always"]),
    )
    return str(path)


def _csv_of_pandas(table: pa.Table, path: Path, dice: Random) -> str:
    packed = dice.random() < 0.3
    table.to_pandas(types_mapper=pd.ArrowDtype).to_csv(
        f"{path}.gz" if packed else path, index=False, na_rep=dice.choice(["", "NA"]), lineterminator=dice.choice(["\n", "\r\n"]),
        encoding="utf-8-sig" if not packed and dice.random() < 0.3 else "utf-8",
    )  # fmt: skip
    return f"{path}.gz" if packed else str(path)


def _csv_of_duckdb(table: pa.Table, path: Path, dice: Random) -> str:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("given", table)
        connection.execute(
            f"COPY given TO '{path}' (FORMAT csv, HEADER, DELIMITER '{_delimiter(table, dice, ',', '|')}')"
        )
    return str(path)


def _json_lines(table: pa.Table, path: Path, dice: Random) -> str:
    def shown(value: Any) -> Any:
        if is_missing(value):
            return None
        if isinstance(value, datetime | date):
            return value.isoformat().replace("+00:00", dice.choice(["Z", "+00:00"]))
        return float(value) if isinstance(value, Decimal) else value

    lines = [
        json.dumps({name: shown(value) for name, value in row.items()}, ensure_ascii=dice.choice([True, False]))
        for row in table.to_pylist()
    ]
    if dice.random() < 0.3:
        path = path.with_suffix(".json")
        path.write_text(f"[{','.join(lines)}]")
    elif dice.random() < 0.3:
        path = Path(f"{path}.gz")
        path.write_bytes(gzip.compress("\n".join(lines).encode()))
    else:
        path.write_text("\n".join(lines) + "\n")
    return str(path)


def _json_of_duckdb(table: pa.Table, path: Path, dice: Random) -> str:
    del dice
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("given", _without_nan(table))
        connection.execute(f"COPY given TO '{path}' (FORMAT json)")
    return str(path)


def _without_nan(table: pa.Table) -> pa.Table:
    for i, field in enumerate(table.schema):
        if pa.types.is_floating(field.type):
            values = [None if is_missing(one) else one for one in table[field.name].to_pylist()]
            table = table.set_column(i, field.name, pa.array(values, field.type))
    return table


def _feather(table: pa.Table, path: Path, dice: Random) -> str:
    pa.feather.write_feather(
        table, path, compression=dice.choice(["lz4", "zstd", "uncompressed"]), chunksize=dice.choice([2, 1000])
    )
    return str(path)


def _stream(table: pa.Table, path: Path, dice: Random) -> str:
    with pa.ipc.new_stream(path, table.schema) as writer:
        writer.write_table(table, max_chunksize=dice.choice([1, 1000]))
    return str(path)


def _ipc_of_polars(table: pa.Table, path: Path, dice: Random) -> str:
    pl.from_arrow(table).write_ipc(path, compression=dice.choice(["uncompressed", "lz4"]))
    return str(path)


def _in_duckdb(table: pa.Table, path: Path, dice: Random) -> str:
    with duckdb.connect(path) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("given", table)
        connection.execute("CREATE TABLE held AS SELECT * FROM given")
        if dice.random() < 0.5:
            connection.execute("CREATE VIEW seen AS SELECT * FROM held")
            return f"{path}#seen"
    return f"{path}#held"


_SQLITE = {"whole": "INTEGER", "small": "INTEGER", "unsigned": "INTEGER", "epoch": "INTEGER", "real": "REAL", "text": "TEXT",
           "written": "TEXT", "truth": "BOOLEAN", "date": "DATE", "naive": "TIMESTAMP"}  # fmt: skip


def _in_sqlite(table: pa.Table, path: Path, dice: Random) -> str:
    del dice
    known = {
        "int": "INTEGER",
        "uint": "INTEGER",
        "bool": "BOOLEAN",
        "date": "DATE",
        "timestamp": "TIMESTAMP",
        "string": "TEXT",
    }
    kinds = [
        next((sql for begins, sql in known.items() if str(field.type).startswith(begins)), "REAL")
        for field in table.schema
    ]
    columns = ", ".join(f"{quoted(field.name)} {kind}" for field, kind in zip(table.schema, kinds, strict=True))
    connection = sqlite3.connect(path)
    connection.execute(f"CREATE TABLE held ({columns})")
    places = ", ".join("?" * table.num_columns)

    def shown(value: Any) -> Any:
        if isinstance(value, datetime):
            return value.isoformat(sep=" ")
        if isinstance(value, date):
            return value.isoformat()
        return float(value) if isinstance(value, Decimal) else value

    connection.executemany(
        f"INSERT INTO held VALUES ({places})", [tuple(map(shown, row.values())) for row in table.to_pylist()]
    )
    connection.commit()
    connection.close()
    return f"{path}#held"


def postgres(url: str) -> Form:
    """A table in a server of PostgreSQL."""
    from sqlalchemy import NullPool, create_engine

    engine = create_engine(
        url.replace("postgresql://", "postgresql+psycopg://"), isolation_level="AUTOCOMMIT", poolclass=NullPool
    )
    types = {pa.int64(): "BIGINT", pa.int8(): "SMALLINT", pa.uint32(): "BIGINT", pa.float64(): "DOUBLE PRECISION", pa.float32(): "REAL",
             pa.decimal128(12, 2): "NUMERIC(12,2)", pa.decimal128(38, 5): "NUMERIC(38,5)", pa.string(): "TEXT", pa.bool_(): "BOOLEAN",
             pa.date32(): "DATE", pa.timestamp("us", "UTC"): "TIMESTAMPTZ", pa.timestamp("us"): "TIMESTAMP"}  # fmt: skip

    made: list[str] = []

    def write(table: pa.Table, path: Path, dice: Random) -> str:
        del path, dice
        name, before = f"t{uuid4().hex}", [made.pop() for _ in list(made)]
        made.append(name)
        kinds = [types.get(field.type, "TEXT") for field in table.schema]
        columns = ", ".join(f"{quoted(field.name)} {kind}" for field, kind in zip(table.schema, kinds, strict=True))
        with engine.connect() as connection:
            cursor = connection.connection.cursor()
            for one in before:
                cursor.execute(f"DROP TABLE {one}".encode())
            cursor.execute(f"CREATE TABLE {name} ({columns})".encode())
            places = ", ".join(["%s"] * table.num_columns)
            cursor.executemany(
                f"INSERT INTO {name} VALUES ({places})", [tuple(row.values()) for row in table.to_pylist()]
            )
        return f"{url}#public.{name}"

    return Form(write)


FORMS: dict[str, Form] = {
    "arrow": Form(lambda table, _, __: table),
    "polars": Form(lambda table, _, __: pl.from_arrow(table)),
    "polars lazy": Form(lambda table, _, __: pl.from_arrow(table).lazy()),
    "pandas": Form(lambda table, _, __: table.to_pandas(), _pandas),
    "pandas of arrow": Form(lambda table, _, __: table.to_pandas(types_mapper=pd.ArrowDtype)),
    "parquet of pyarrow": Form(_parquet_of_pyarrow),
    "parquet of polars": Form(_parquet_of_polars),
    "parquet of pandas": Form(_parquet_of_pandas, _pandas),
    "parquet of duckdb": Form(_parquet_of_duckdb),
    "csv of pyarrow": Form(_csv_of_pyarrow, _csv, empty=False),
    "csv of polars": Form(_csv_of_polars, _csv, empty=False),
    "csv of pandas": Form(_csv_of_pandas, _csv, empty=False),
    "csv of duckdb": Form(_csv_of_duckdb, _csv, empty=False),
    "json lines": Form(_json_lines, _json, empty=False),
    "json of duckdb": Form(_json_of_duckdb, _json, empty=False),
    "feather": Form(_feather),
    "arrow stream": Form(_stream),
    "ipc of polars": Form(_ipc_of_polars),
    "duckdb": Form(_in_duckdb),
    "sqlite": Form(_in_sqlite, _sqlite),
}
ENDINGS = {"csv": ".csv", "json": ".jsonl", "parquet": ".parquet", "duckdb": ".duckdb", "sqlite": ".db", "feather": ".feather",
           "arrow stream": ".arrows", "ipc": ".arrow"}  # fmt: skip


def written(form: str, how: Form, made: Case, folder: Path) -> tuple[Any, dict[str, str], list[Row]] | None:
    """The target, and what of the rows is kept in it; None where nothing is."""
    kinds, rows = how.keeps(made.kinds, made.rows)
    if not kinds or (not rows and not how.empty):
        return None
    ending = next((end for begins, end in ENDINGS.items() if form.startswith(begins)), "")
    return how.write(arrow(kinds, rows), folder / f"{form.replace(' ', '-')}{ending}", Random(made.seed)), kinds, rows
