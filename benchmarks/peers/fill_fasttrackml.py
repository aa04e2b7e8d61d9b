"""Puts many runs straight into a database of FastTrackML's, as its own server writes them: through its API it takes an hour."""

import sqlite3
import sys


def main():
    path, count, first = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    db = sqlite3.connect(path)
    (context,) = db.execute("SELECT id FROM contexts ORDER BY id").fetchone()
    (namespace,) = db.execute("SELECT id FROM namespaces").fetchone()
    db.execute(
        "INSERT OR IGNORE INTO experiments (experiment_id, name, artifact_location, lifecycle_stage, creation_time,"
        " last_update_time, namespace_id) SELECT max(experiment_id) + 1, 'many', '', 'active', 0, 0, ? FROM experiments",
        (namespace,),
    )
    (number,) = db.execute("SELECT experiment_id FROM experiments WHERE name = 'many'").fetchone()
    for i in range(first, first + count):
        run = f"{i:032x}"
        db.execute(
            "INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name, user_id, status, start_time, source_version,"
            " lifecycle_stage, artifact_uri, experiment_id, row_num) VALUES (?, ?, 'LOCAL', '', '', 'me', 'FINISHED', ?, '', 'active', ?, ?, ?)",
            (run, f"run-{i}", 1_600_000_000_000 + i, f"mlflow-artifacts:/many/{run}/artifacts", number, 1_000_000 + i),
        )
        values = [("auc", (i * 7919 % 1000) / 1000), *((f"m{k}", i / (k + 1)) for k in range(9))]
        db.executemany(
            "INSERT INTO latest_metrics (key, value, timestamp, step, is_nan, run_uuid, last_iter, context_id)"
            " VALUES (?, ?, 1, 0, 0, ?, 1, ?)",
            [(k, v, run, context) for k, v in values],
        )
        db.executemany(
            "INSERT INTO metrics (key, value, timestamp, step, is_nan, run_uuid, iter, context_id)"
            " VALUES (?, ?, 1, 0, 0, ?, 1, ?)",
            [(k, v, run, context) for k, v in values],
        )
        params = [("lr", ("0.1", "0.01", "0.3")[i % 3]), *((f"p{k}", str(i % (k + 2))) for k in range(9))]
        db.executemany(
            "INSERT INTO params (key, value_str, run_uuid) VALUES (?, ?, ?)", [(k, v, run) for k, v in params]
        )
        db.executemany(
            "INSERT INTO tags (key, value, run_uuid) VALUES (?, ?, ?)",
            [("mlflow.runName", f"run-{i}", run), ("mlflow.user", "me", run)],
        )
    db.commit()


main()
