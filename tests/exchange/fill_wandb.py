"""Makes a run of Weights & Biases without its server. Run by an interpreter that has its client.

Usage: python fill_wandb.py FOLDER POINTS [killed]
"""

import os
import signal
import sys
from pathlib import Path

import wandb

folder, points = Path(sys.argv[1]), int(sys.argv[2])
os.chdir(folder)
run = wandb.init(
    project="flights",
    name="first try",
    notes="a *note*",
    tags=["a", "b"],
    group="sweep 1",
    config={"leaves": 31, "deep": {"rate": 0.1}, "word": "lbfgs"},
    dir=folder,
    mode="offline",
    settings=wandb.Settings(x_disable_stats=True),
)
for i in range(points):
    run.log({"loss": 1 / (i + 1), "nest": {"x": i * 2}, "said": "hi"})
run.log({"odd": float("nan"), "far": float("-inf"), "yes": True})
run.log({"later": 5}, step=points + 400)
run.summary["best"] = 0.75
run.summary["verdict"] = "good"
run.config["late"] = [1, 2]
run.config.update({"leaves": 63}, allow_val_change=True)
Path("extra.txt").write_text("hello")
run.save("extra.txt", policy="now")
if sys.argv[3:] == ["killed"]:
    import time

    time.sleep(3)  # the service writes in its own time
    os.kill(os.getpid(), signal.SIGKILL)
run.finish()
