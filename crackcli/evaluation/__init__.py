"""crackcli evaluate: compares methods on labelled photographs."""

from crackcli.evaluation.evaluate import EvaluateTask
from crackcli.evaluation.write import write_evaluation

__all__ = ["EvaluateTask", "write_evaluation"]
