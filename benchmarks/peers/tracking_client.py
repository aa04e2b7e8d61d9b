"""What MLflow's unmodified client gets done at a server; run by an interpreter that has MLflow. Prints JSON."""

import json
import os
import sys
import time
import warnings

warnings.filterwarnings("ignore")
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
from mlflow import MlflowClient
from mlflow.entities import Metric, Param

QUERY, ORDER = "metrics.auc > 0.8 and params.lr = '0.1'", ["metrics.auc DESC"]


def rate(work, seconds):
    work()
    calls, count, start = 1, 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        count += work()
        calls += 1
    return calls, count / (time.perf_counter() - start)


def main():
    address, what, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
    client = MlflowClient(address)
    if what == "search":
        found = client.search_experiments(filter_string="name = 'many'")[0].experiment_id
        times = []
        for _ in range(12):
            start = time.perf_counter()
            page = client.search_runs([found], QUERY, order_by=ORDER, max_results=100)
            times.append(time.perf_counter() - start)
        print(json.dumps({"search_s": sorted(times)[len(times) // 2], "calls": len(times), "found": len(page)}))
        return
    experiment = client.create_experiment(f"bench-{what}-{time.time_ns()}")
    run = client.create_run(experiment).info.run_id
    step = iter(range(10**9))
    now = int(time.time() * 1000)

    def metric():
        client.log_metric(run, "loss", 0.5, step=next(step))
        return 1

    def batch():
        first = next(step) * 1000
        client.log_batch(run, [Metric("loss", i / 7, now, first + i) for i in range(1000)])
        return 1000

    def made():
        one = client.create_run(experiment).info.run_id
        client.log_batch(
            one, [Metric(f"m{i}", i / 7, now, 0) for i in range(10)], [Param(f"p{i}", str(i)) for i in range(10)]
        )
        return 1

    work = {"log_metric": metric, "log_batch": batch, "runs": made}[what]
    calls, done = rate(work, seconds)
    print(json.dumps({"rate": done, "calls": calls}))


main()
