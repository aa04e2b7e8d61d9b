"""Puts many runs straight into a database of MLflow's, as its own store writes them: through its API it takes an hour."""

import sqlite3
import sys


def main():
    path, count, first = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    db = sqlite3.connect(path)
    db.execute(
        "INSERT OR IGNORE INTO experiments (name, artifact_location, lifecycle_stage, creation_time, last_update_time, workspace)"
        " VALUES ('many', 'mlflow-artifacts:/many', 'active', 0, 0, 'default')"
    )
    (number,) = db.execute("SELECT experiment_id FROM experiments WHERE name = 'many'").fetchone()
    for i in range(first, first + count):
        run = f"{i:032x}"
        db.execute(
            "INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name, user_id, status, start_time, source_version,"
            " lifecycle_stage, artifact_uri, experiment_id) VALUES (?, ?, 'LOCAL', '', '', 'me', 'FINISHED', ?, '', 'active', ?, ?)",
            (run, f"run-{i}", 1_600_000_000_000 + i, f"mlflow-artifacts:/many/{run}/artifacts", number),
        )
        values = [("auc", (i * 7919 % 1000) / 1000), *((f"m{k}", i / (k + 1)) for k in range(9))]
        db.executemany(
            "INSERT INTO latest_metrics (key, value, timestamp, step, is_nan, run_uuid) VALUES (?, ?, 1, 0, 0, ?)",
            [(k, v, run) for k, v in values],
        )
        db.executemany(
            "INSERT INTO metrics (key, value, timestamp, step, is_nan, run_uuid) VALUES (?, ?, 1, 0, 0, ?)",
            [(k, v, run) for k, v in values],
        )
        params = [("lr", ("0.1", "0.01", "0.3")[i % 3]), *((f"p{k}", str(i % (k + 2))) for k in range(9))]
        db.executemany("INSERT INTO params (key, value, run_uuid) VALUES (?, ?, ?)", [(k, v, run) for k, v in params])
        db.executemany(
            "INSERT INTO tags (key, value, run_uuid) VALUES (?, ?, ?)",
            [("mlflow.runName", f"run-{i}", run), ("mlflow.user", "me", run)],
        )
    db.commit()


main()
