"""Whatever is sent to a route is answered, or refused with a reason: never by a fault of the server."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assay.errors import AssayError, BadInput
from assay.store import Store, find_home, use
from assay.web.fields import LONGEST_LIST, ManyOf, Message, camel, flag, name_or_number, one_of, text, whole
from assay.web.http import HttpRequest, answer_json
from assay.web.mlflow.ask import ask_of
from assay.web.mlflow.errors import code_of
from assay.web.mlflow.routes import _PLACED, _PLACED_FILES, _ROUTES  # pyright: ignore[reportPrivateUsage]
from assay.web.rule import RequestSchema

from .asking import API, ask

RULES = {f"{method} {path}": rule for (method, path), rule in _ROUTES.items()} | {
    f"{method} {pattern.pattern}": rule
    for method, pattern, rule in (*_PLACED, *_PLACED_FILES)
    if isinstance(rule, RequestSchema)
}
ODD = [
    "",
    "²",
    "999999999999999999999999999999",
    "-1",
    "0",
    "1",
    "\x00",
    "😀",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "../x",
    "m",
    "NaN",
    "None",
    "latest",
    "%",
    "'",
    "metrics.a > 1",
    "metrics.a DESC",
    "name = 'm'",
    "tags.t LIKE '%'",
    "eyJvZmZzZXQiOiA1fQ==",
    "runs:/x/y",
    "s3:b",
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(ODD),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=5) | st.sampled_from(["key", "value", "name"]), inner, max_size=4)
    ),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, list[str]]]:
    """A store, and names of what is in it."""
    with use(find_home(tmp_path_factory.mktemp("home") / ".assay")) as store:
        call(store, "POST experiments/create", {"name": "e", "tags": [{"key": "t", "value": "x"}]})
        run = call(store, "POST runs/create", {"experiment_id": "0"})["run"]["info"]["run_id"]
        call(store, "POST runs/log-batch", {"run_id": run, "metrics": [{"key": "a", "value": 1, "timestamp": 1}]})
        model = call(store, "POST logged-models", {"experiment_id": "0"})["model"]["info"]["model_id"]
        call(store, "POST registered-models/create", {"name": "m"})
        call(store, "POST model-versions/create", {"name": "m", "source": "s3://b/x"})
        yield store, [run, model]


def call(store: Store, route: str, body: Any, *places: str) -> Any:
    method = route.partition(" ")[0]
    asked = HttpRequest(method, "/", {}, {}, body=json.dumps(body).encode(), places=places)
    if method == "GET":
        query = {k: [str(one) for one in v] if isinstance(v, list) else [str(v)] for k, v in body.items() if v != []}
        asked = HttpRequest(method, "/", query, {}, places=places)
    return json.loads(answer_json(RULES[route].handler(store, ask_of(asked, RULES[route].takes))).body)


@settings(max_examples=1_000, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data())
def test_no_request_is_a_fault_of_the_server(known: tuple[Store, list[str]], data: st.DataObject) -> None:
    store, names = known
    route = data.draw(st.sampled_from(sorted(RULES)))
    fields = sorted(RULES[route].takes.names)
    seed = st.sampled_from([*names, *ODD, 0, 1, ["0"], ["m"], [], True])
    body = data.draw(st.dictionaries(st.sampled_from([*fields, "other"]), seed | JSON, max_size=8))
    places = data.draw(st.lists(st.sampled_from([*names, *ODD]), min_size=2, max_size=2))
    try:
        call(store, route, body, *places)
    except AssayError as error:
        assert code_of(error)[0] in (400, 404), (route, body, error)  # noqa: PT017


VIEW = one_of("A", "B")
ALL = Message(
    a_text=text, an_id=name_or_number, a_number=whole, a_flag=flag, a_view=VIEW, a_list=ManyOf(Message(the_key=text))
)
GIVEN = {"a_text": "x", "an_id": "6", "a_number": 7, "a_flag": True, "a_view": "B", "a_list": [{"the_key": "k"}]}


@pytest.mark.parametrize(
    "given",
    [
        GIVEN,
        {camel(name): value for name, value in GIVEN.items()} | {"aList": [{"theKey": "k"}]},
        GIVEN | {"an_id": 6, "a_number": "7", "a_flag": "true", "a_view": 2},
        GIVEN | {"a_number": 7.0, "a_view": "2", "unknown": [[{}]], "a_nother": None},
    ],
)
def test_fields_are_read_as_the_json_of_protobuf(given: dict[str, Any]) -> None:
    assert ALL.read(given) == GIVEN


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ({"a_text": 1}, "a_text"),
        ({"aText": "a\0"}, "a_text"),
        ({"an_id": True}, "an_id"),
        ({"an_id": 2**63}, "an_id"),
        ({"a_number": 1.5}, "a_number"),
        ({"a_number": True}, "a_number"),
        ({"a_number": float("nan")}, "a_number"),
        ({"a_number": -(2**63) - 1}, "a_number"),
        ({"a_flag": 1}, "a_flag"),
        ({"a_view": 0}, "a_view"),
        ({"a_view": "C"}, "a_view"),
        ({"a_view": True}, "a_view"),
        ({"a_list": {}}, "a_list"),
        ({"a_list": [None]}, "a_list[0]"),
        ({"a_list": [{}, {"theKey": 3}]}, "a_list[1].the_key"),
        ({"a_list": [{}] * (LONGEST_LIST + 1)}, "a_list"),
        ({"a_text": "x", "aText": "x"}, "aText"),
    ],
)
def test_what_is_of_another_kind_is_refused_with_its_path(given: dict[str, Any], where: str) -> None:
    with pytest.raises(BadInput) as refused:
        ALL.read(given)
    assert f"'{where}'" in str(refused.value)


def test_camel_case_lands_where_it_belongs(address: str) -> None:
    made = ask(address, "POST", f"{API}/experiments/create", {"name": "j"}).json["experiment_id"]
    body = {"experimentId": made, "startTime": "1700000000000", "runName": "j"}
    info = ask(address, "POST", f"{API}/runs/create", body).json["run"]["info"]
    assert (info["experiment_id"], info["start_time"], info["run_name"]) == (made, 1_700_000_000_000, "j")
    run = info["run_id"]
    point = {"runId": run, "key": "m", "value": "1", "timestamp": "1", "step": "2"}
    assert ask(address, "POST", f"{API}/runs/log-metric", point).status == 200
    got = ask(address, "GET", f"{API}/runs/get?runId={run}").json["run"]["data"]["metrics"]
    assert got == [{"key": "m", "value": 1.0, "timestamp": 1, "step": 2}]
    for asked in ({"experimentIds": [int(made)], "runViewType": 3}, {"experiment_ids": [made], "run_view_type": "ALL"}):
        assert len(ask(address, "POST", f"{API}/runs/search", asked).json["runs"]) == 1
    model = ask(address, "POST", f"{API}/logged-models", {"experimentId": int(made), "sourceRunId": run}).json
    batch = {
        "runId": run,
        "metrics": [{"key": "m", "value": 2, "timestamp": 3, "modelId": model["model"]["info"]["model_id"]}],
    }
    assert ask(address, "POST", f"{API}/runs/log-batch", batch).status == 200
    found = ask(address, "POST", f"{API}/logged-models/search", {"experimentIds": [made]}).json["models"][0]
    assert (found["info"]["source_run_id"], found["data"]["metrics"][0]["value"]) == (run, 2.0)
