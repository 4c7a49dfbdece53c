"""crackcli selftest: draws known cracks, scans them, and fits the probability of detection."""

from crackcli.selftest.run import SelftestTask
from crackcli.selftest.write import write_selftest

__all__ = ["SelftestTask", "write_selftest"]
