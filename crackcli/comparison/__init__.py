"""crackcli compare: matches the cracks of two reports; changes with their limit of detection."""

from crackcli.comparison.change import CompareTask
from crackcli.comparison.dates import parse_dates
from crackcli.comparison.outputs.conditions import Condition
from crackcli.comparison.write import write_comparison

__all__ = ["CompareTask", "Condition", "parse_dates", "write_comparison"]
