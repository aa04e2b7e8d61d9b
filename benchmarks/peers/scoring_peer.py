"""A million rows from Parquet to Parquet: a plain script, or MLflow's spark_udf. Prints the seconds."""

import sys
import time
from pathlib import Path

import numpy as np


def plain(table, out, trees):
    """What one writes by hand: read all, predict, write."""
    import lightgbm
    import pyarrow.parquet as pq

    booster = lightgbm.Booster(model_file=trees)
    names = booster.feature_name()

    def run():
        rows = pq.read_table(table)
        x = np.column_stack([rows.column(name).to_numpy() for name in names])
        said = booster.predict(x, num_threads=2)
        pq.write_table(rows.select(["key", "at"]).append_column("probability", [said]), Path(out) / "plain.parquet")

    return run


def spark_udf(table, out, trees):
    """MLflow's way to score on Spark, on two cores."""
    import lightgbm
    import mlflow
    import mlflow.lightgbm
    from pyspark.sql import SparkSession
    from pyspark.sql.functions import struct

    booster = lightgbm.Booster(model_file=trees)
    model = str(Path(out) / "mlflow")
    mlflow.lightgbm.save_model(booster, model)
    spark = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    udf = mlflow.pyfunc.spark_udf(spark, model, result_type="double", env_manager="local")
    names = booster.feature_name()

    def run():
        rows = spark.read.parquet(table)
        scored = rows.select("key", "at", udf(struct(*names)).alias("probability"))
        scored.write.mode("overwrite").parquet(str(Path(out) / "udf"))

    return run


def main():
    way, table, out, trees = sys.argv[1:]
    run = {"plain": plain, "spark_udf": spark_udf}[way](table, out, trees)
    run()
    took = []
    for _ in range(2):
        started = time.perf_counter()
        run()
        took.append(time.perf_counter() - started)
    print(min(took))


if __name__ == "__main__":
    main()
