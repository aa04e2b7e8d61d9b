"""How good predictions are: the one list of metrics that models, policies, `assay runs --best` and docs read.

To add one, write its function in the module of its task and a line in `names.METRICS`:

| module          | what is predicted                                     |
|-----------------|-------------------------------------------------------|
| `numbers`       | a number                                              |
| `outcomes`      | a class that is chosen                                |
| `probabilities` | probabilities of outcomes                             |
| `curves`        | an order of the rows by probability                   |
| `ranking`       | an order within groups                                |
| `own`           | whatever a function of the user's judges              |
"""

from assay.metrics.metric import Metric, Scored, Scorer
from assay.metrics.names import METRICS, direction, find
from assay.metrics.own import metric
from assay.metrics.scoring import score, scorer

__all__ = ["METRICS", "Metric", "Scored", "Scorer", "direction", "find", "metric", "score", "scorer"]
