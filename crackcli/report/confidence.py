"""Confidence of the cracks of a scene, if its scan has one: see `crackcli.cracks.confidence`."""

from collections.abc import Mapping
from dataclasses import dataclass

from crackcli.cracks.confidence import ConfidenceModel
from crackcli.cracks.crack import Crack
from crackcli.rasters.resampled import FULL_RESOLUTION
from crackcli.scenes.record import SceneRecord

ROOT_OF_PROBABILITY = "root of P(crack)"  # tag of a score raster
RECIPE = "refined"  # of the masks that confidences are fitted on, with the model's own threshold


@dataclass(frozen=True)
class CrackConfidence:
    """Gives the cracks of one scene their confidence.

    ``top`` is the score, root of P(crack), of the largest value of the score raster.
    """

    model: ConfidenceModel
    top: float

    def of(self, crack: Crack) -> float | None:
        """Return the confidence of a crack, 0 to 1; None if the score raster is nodata there."""
        if crack.squared_score_sum is None:
            return None
        probability = self.top**2 * crack.squared_score_sum / crack.area_px
        return self.model.confidence(probability, crack.length_px)


def find_confidence(record: SceneRecord, tags: Mapping[str, str]) -> CrackConfidence | None:
    """Return what gives the cracks of a scene their confidence; ``tags`` are those of its score.

    Return None if the model has no confidence, or if the scan has other options than it was fitted
    for: another masking recipe, a threshold of the user, or other zooms.
    """
    fitted = (record.engine.get("calibration") or {}).get("cracks")
    masking = record.masking
    as_fitted = (
        masking is not None
        and (masking["recipe"], masking["threshold"]) == (RECIPE, None)
        and record.zooms == list(FULL_RESOLUTION)
    )
    if not fitted or not as_fitted or tags.get("CRACKCLI_SCORE") != ROOT_OF_PROBABILITY:
        return None
    return CrackConfidence(ConfidenceModel(**fitted), float(tags["CRACKCLI_SCORE_TOP"]))
