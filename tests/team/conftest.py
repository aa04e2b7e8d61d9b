"""Two machines on one database and one bucket, each 10 ms away."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "serve"))
from machines import Machine
from network import Line, Namespace
from running import PROJECT, PUBLISH

DELAY_S = 0.01


Team = Callable[[Path, str, str], list[Machine]]


@pytest.fixture(scope="session")
def new_team(s3: dict[str, str]) -> Iterator[Team]:
    """Makes two machines below a folder, on a database and a bucket."""
    made: list[Machine] = []

    def make(folder: Path, database: str, bucket: str) -> list[Machine]:
        parts = urlsplit(database)
        socket = f"{parse_qs(parts.query)['host'][0]}/.s.PGSQL.5432"
        storage = urlsplit(s3["AWS_ENDPOINT_URL"])
        team: list[Machine] = []
        for name in ("a", "b"):
            home = folder / name / ".assay"
            home.mkdir(parents=True)
            (folder / name / "taxi.py").write_text(PROJECT)
            network = Namespace.new()
            to_database = Line(socket, network, delay_s=DELAY_S)
            to_bucket = Line((str(storage.hostname), int(storage.port or 0)), network, delay_s=DELAY_S)
            environment = {key: value for key, value in os.environ.items() if not key.startswith(("ASSAY_", "AWS_"))}
            environment |= s3 | {
                "AWS_ENDPOINT_URL": f"http://127.0.0.1:{to_bucket.port}",
                "ASSAY_HOME": str(home),
                "ASSAY_DATABASE": f"postgresql://postgres@127.0.0.1:{to_database.port}{parts.path}?connect_timeout=2",
                "ASSAY_ARTIFACTS": bucket,
            }
            team.append(Machine(home, network, to_database, to_bucket, environment))
        made.extend(team)
        return team

    yield make
    for machine in made:
        machine.database.close()
        machine.bucket.close()
        machine.network.close()


@pytest.fixture
def team(new_team: Team, tmp_path: Path, new_postgres: str, bucket: str) -> list[Machine]:
    """Machine A, which trained two versions of long-trip, and machine B, which has seen nothing yet."""
    a, b = new_team(tmp_path, new_postgres, bucket)
    done = a.python("-c", PUBLISH)
    assert done.returncode == 0, done.stderr
    return [a, b]
