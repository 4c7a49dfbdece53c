"""crackcli report: cracks as rows with units, uncertainties and severity; tables, maps and a QGIS
project."""

from crackcli.report.tracing import ReportTask
from crackcli.report.write import write_report

__all__ = ["ReportTask", "write_report"]
