import pyarrow as pa

from assay import store
from assay.pipelines.results import decode, encode


def test_a_table_whose_parts_have_dictionaries_of_their_own_is_kept(tmp_path) -> None:
    parts = [pa.table({"x": pa.array(values).dictionary_encode()}) for values in (["a", "b"], ["x", "b"])]
    with store.use(store.find_home(tmp_path / ".assay")) as opened:
        kept = encode(pa.concat_tables(parts), opened.artifacts, "load")
        assert decode(kept, opened.artifacts)["x"].to_pylist() == ["a", "b", "x", "b"]
