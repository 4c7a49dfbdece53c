"""crackcli compare: matches the cracks of two reports: new, grown, stable or gone."""

from crackcli.comparison.changes import CompareTask
from crackcli.comparison.write import write_comparison

__all__ = ["CompareTask", "write_comparison"]
