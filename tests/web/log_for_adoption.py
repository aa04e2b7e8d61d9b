"""Logs and registers models by MLflow's own client, for the interpreter that has it: ADDRESS as argument."""

import sys
import warnings

import lightgbm
import mlflow
import numpy as np
import pandas as pd
import xgboost
from mlflow.models import infer_signature
from sklearn.linear_model import LogisticRegression

warnings.simplefilter("ignore")
mlflow.set_tracking_uri(sys.argv[1])
mlflow.set_experiment("elsewhere")
random = np.random.default_rng(5)
x = pd.DataFrame({"miles": random.uniform(0, 50, 300), "seats": random.integers(1, 9, 300).astype(float)})
y = (x.miles + random.normal(0, 8, 300) > 25).astype(int)
linear = LogisticRegression().fit(x, y)
boosted = lightgbm.LGBMClassifier(n_estimators=10, verbose=-1).fit(x, y)
trees = xgboost.XGBClassifier(n_estimators=10).fit(x, y)
signature = infer_signature(x, y)
newest = mlflow.__version__.startswith("3")
how = {"name": "m"} if newest else {"artifact_path": "m"}
logs = {
    "lgb": (mlflow.lightgbm, boosted.booster_, {}),
    "xgb": (mlflow.xgboost, trees, {"model_format": "ubj"}),
    "wrapped": (mlflow.lightgbm, boosted, {}),
    "pickled": (mlflow.sklearn, linear, {"serialization_format": "cloudpickle"}),
}
if newest:
    logs["linear"] = (mlflow.sklearn, linear, {"serialization_format": "skops"})
client = mlflow.MlflowClient()
for name, (flavor, model, more) in logs.items():
    with mlflow.start_run():
        flavor.log_model(model, signature=signature, registered_model_name=name, **how, **more)
    client.set_registered_model_alias(name, "champion", 1)
rows = pd.DataFrame({"miles": [1.0, 24.0, 49.0], "seats": [1.0, 2.0, 3.0]})
said = {
    "lgb": boosted.predict_proba(rows),
    "xgb": trees.predict_proba(rows),
    "linear": linear.predict_proba(rows),
}
print({name: one[:, 1].tolist() for name, one in said.items() if name in logs})
