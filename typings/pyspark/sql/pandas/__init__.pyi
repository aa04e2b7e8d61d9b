# What the type check needs of Spark, so that it does not need Spark.
