"""What a client sees: statuses, bodies, headers; one real server answers them all."""

import json
from itertools import count

import pytest
from running import ROW, Server, ask

from assay.predictions import read_rows
from assay.serve.app import MAX_BODY_BYTES
from assay.store import Home

ids = (f"app-{number}" for number in count())


def logged(server: Server, request_id: str) -> list[dict]:
    rows = read_rows(Home(server.home), "long-trip", request_id=request_id)
    return rows.to_pylist() if rows else []


def test_one_row_gives_one_prediction_and_is_in_the_log_at_once(server: Server) -> None:
    request_id = next(ids)
    reply = server.predict(ROW, **{"X-Request-Id": request_id})
    assert reply.status == 200
    assert reply.headers["content-type"] == "application/json"
    assert {**reply.body, "prediction": 0} == {
        "prediction": 0,
        "model": "long-trip",
        "version": 2,
        "request_id": request_id,
    }
    (row,) = logged(server, request_id)
    assert row["prediction_probability"] == reply.body["prediction"]["probability"]
    assert (row["input_miles"], row["input_seats"], row["input_year"], row["feature_weekday"]) == (3.5, 4, None, 6)
    assert (row["model_version"], row["part"], row["row"]) == (2, "served", 0)
    assert row["received_at"] <= row["answered_at"]


def test_each_of_many_answers_is_in_the_log_when_it_arrives(server: Server) -> None:
    for _ in range(20):
        request_id = next(ids)
        assert server.predict(ROW, **{"X-Request-Id": request_id}).status == 200
        assert len(logged(server, request_id)) == 1


def test_many_rows_give_as_many_predictions_in_their_order(server: Server) -> None:
    request_id = next(ids)
    rows = [ROW | {"miles": float(miles)} for miles in range(1, 50, 5)]
    reply = server.predict(rows, **{"X-Request-Id": request_id})
    said = [row["probability"] for row in reply.body["predictions"]]
    alone = [server.predict(row).body["prediction"]["probability"] for row in rows]
    assert said == alone
    assert said[0] < 0.4 < 0.6 < said[-1]
    assert [(row["row"], row["prediction_probability"]) for row in logged(server, request_id)] == list(enumerate(said))


def test_a_large_request_is_answered_and_logged_too(server: Server) -> None:
    request_id = next(ids)
    reply = server.predict([ROW] * 2_000, **{"X-Request-Id": request_id})
    assert (reply.status, len(reply.body["predictions"])) == (200, 2_000)
    assert len(logged(server, request_id)) == 2_000


def test_health_and_ready(server: Server) -> None:
    health = server.ask("GET", "/health")
    assert health.status == 200
    assert {**health.body, "trained_until": None} == {
        "status": "ok",
        "model": "long-trip",
        "version": 2,
        "trained_until": None,
        "dropping": False,
        "dropped_rows": 0,
        "last_dropped_at": None,
        "outside_contract": {"refused": 0, "clipped": 0, "allowed": 0},
        "champion": "ok",
        "drainer": "ok",
        "drainer_restarts": 0,
        "undrained": "",
    }
    assert server.ask("GET", "/ready").body == {"ready": True}
    assert server.ask("HEAD", "/ready").status == 200


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("GET", "/predictions", 404, None),
        ("POST", "/", 404, None),
        ("GET", "/predict", 405, "POST"),
        ("DELETE", "/predict", 405, "POST"),
        ("POST", "/health", 405, "GET, HEAD"),
    ],
)
def test_what_is_not_served_is_refused(server: Server, method: str, path: str, status: int, allow: str | None) -> None:
    reply = server.ask(method, path, b"{}")
    assert (reply.status, reply.headers.get("allow")) == (status, allow)
    assert reply.body["error"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "the body is not JSON"),
        (b'{"trip": ', "the body is not JSON"),
        (b'{"nope": 1, garbage', "the body is not JSON"),
        (b'{"trip": "\xff"}', "the body is not JSON"),
        (b"[" * 100_000, "the body is not JSON"),
        (b"[]", "the body holds no rows"),
    ],
    ids=["empty", "cut", "a fault, then no JSON", "no UTF-8", "deep", "no rows"],
)
def test_a_body_that_is_no_json_is_refused(server: Server, body: bytes, words: str) -> None:
    request_id = next(ids)
    reply = server.predict(body, **{"X-Request-Id": request_id})
    assert reply.status == 400
    assert words in reply.body["error"]
    assert reply.body["request_id"] == request_id
    assert logged(server, request_id) == []


def test_every_fault_is_named_with_path_value_and_rule(server: Server) -> None:
    request_id = next(ids)
    bad = {"trip": 7, "start": "2013-01-20T12:00:00", "zone": "nord", "miles": 101, "seats": 2.5, "milse": 1}
    reply = server.predict([ROW, bad, {}], **{"X-Request-Id": request_id})
    assert reply.status == 422
    assert reply.body["error"] == "the input breaks Trip in 11 places"
    assert [(fault["path"], fault["value"]) for fault in reply.body["faults"]] == [
        ("$[1].milse", "1"),
        ("$[1].trip", "7"),
        ("$[1].start", '"2013-01-20T12:00:00"'),
        ("$[1].zone", '"nord"'),
        ("$[1].miles", "101"),
        ("$[1].seats", "2.5"),
        ("$[2].trip", "missing"),
        ("$[2].start", "missing"),
        ("$[2].zone", "missing"),
        ("$[2].miles", "missing"),
        ("$[2].seats", "missing"),
    ]
    rules = {fault["path"]: fault["rule"] for fault in reply.body["faults"]}
    assert rules["$[1].miles"] == "a number, 0 to 100 mi"
    assert rules["$[1].zone"] == "one of north, south, or null"
    assert rules["$[1].milse"] == "no such field in Trip; did you mean miles?"
    assert logged(server, request_id) == []


def test_a_body_beyond_the_bound_is_refused_and_the_server_goes_on(server: Server) -> None:
    reply = server.predict(b" " * (MAX_BODY_BYTES + 1))
    assert reply.status == 413
    assert "larger than 16,777,216 bytes" in reply.body["error"]
    assert server.predict(ROW).status == 200


@pytest.mark.parametrize("value", [b"1e400", str(2**63).encode(), str(2**70).encode()])
def test_a_number_that_no_column_holds_is_the_clients_fault(server: Server, value: bytes) -> None:
    body = json.dumps(ROW | {"year": 777}).encode().replace(b"777", value)
    reply = server.predict(body)
    assert (reply.status, [fault["path"] for fault in reply.body["faults"]]) == (422, ["$.year"])
    assert server.predict(ROW).status == 200


@pytest.mark.parametrize("odd", ["", "a b", "x" * 101, 'a"b', "../a\\b"])
def test_an_odd_request_id_is_replaced(server: Server, odd: str) -> None:
    first, second = (server.predict(ROW, **{"X-Request-Id": odd}).body["request_id"] for _ in range(2))
    assert odd not in (first, second)
    assert first != second


def test_two_requests_on_one_connection(server: Server) -> None:
    connection = server.connect()
    replies = [ask(connection, "POST", "/predict", ROW)]
    sock = connection.sock
    replies += [ask(connection, "POST", "/predict", b"no JSON"), ask(connection, "POST", "/predict", ROW)]
    assert connection.sock is sock
    assert [reply.status for reply in replies] == [200, 400, 200]
    connection.close()


def test_a_client_that_goes_away_in_the_middle_does_no_harm(server: Server) -> None:
    connection = server.connect()
    connection.putrequest("POST", "/predict")
    connection.putheader("Content-Length", "1000")
    connection.endheaders(json.dumps(ROW).encode())
    connection.close()
    assert server.predict(ROW).status == 200
