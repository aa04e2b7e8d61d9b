"""What the server of `assay up` loads: what it never uses would cost each start time, and memory for good."""

import re
import subprocess
import sys
from pathlib import Path

HEAVY = ("numpy", "pyarrow", "duckdb", "rich", "sqlalchemy.dialects.postgresql", "alembic", "narwhals")
SERVE = """
import os, re, signal, sys, threading, urllib.request
import assay.cli.up as up, assay.web.server as server
def ask(address):
    body = b'{"experiment_id": "0", "start_time": 1}'
    asked = urllib.request.Request(address + "/api/2.0/mlflow/runs/create", body)
    urllib.request.urlopen(asked).read()
    os.kill(os.getpid(), signal.SIGINT)
def ready(address): threading.Thread(target=ask, args=(address,)).start()
from assay import store
with store.use(store.find_home(sys.argv[1])) as opened: server.up(opened, port=0, ready=ready)
print("loaded:", " ".join(sys.modules))
"""


def test_a_server_loads_no_library_that_it_never_uses(tmp_path: Path):
    command = [sys.executable, "-c", SERVE, str(tmp_path / ".assay")]
    subprocess.run(command, check=True, capture_output=True)  # makes the database, for which it loads alembic
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found = re.search("loaded: (.*)", done.stdout)
    assert found
    assert not set(HEAVY) & set(found[1].split())
