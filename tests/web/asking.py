"""Raw requests: no library mends a path, a host or a body on its way."""

import http.client
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

API = "/api/2.0/mlflow"
FILES = "/api/2.0/mlflow-artifacts"


@dataclass
class Said:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def ask(address: str, method: str, path: str, body: Any = None, **headers: str) -> Said:
    """Ask as written; underscores in names of headers are hyphens."""
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=30)
    try:
        connection.putrequest(method, path, skip_host="host" in headers, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        if data is not None:
            connection.putheader("content-length", str(len(data)))
        connection.endheaders(data)
        answer = connection.getresponse()
        return Said(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
    finally:
        connection.close()


def new_run(address: str) -> str:
    """The id of a run in the first experiment."""
    return ask(address, "POST", f"{API}/runs/create", {"experiment_id": "0", "start_time": 1}).json["run"]["info"][
        "run_id"
    ]
