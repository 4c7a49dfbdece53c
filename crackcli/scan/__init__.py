"""crackcli scan: writes score.tif, mask.tif and scene.json; resumable; --dry-run predicts the
cost."""

from crackcli.scan.dry_run.estimate import estimate_survey
from crackcli.scan.raster import ScanTask, scan_raster
from crackcli.scan.survey import SurveyTask, scan_survey

__all__ = ["ScanTask", "SurveyTask", "estimate_survey", "scan_raster", "scan_survey"]
