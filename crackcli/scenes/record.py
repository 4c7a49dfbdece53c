"""The typed content of ``scene.json`` beside the grid: how a scan was made, and its result.

`SceneRecord` keeps the JSON object itself, so that a scene that is written again has the same keys
in the same order, those of other versions included. Its properties read it. Older files lack
some keys; each property documents what it returns then.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NotRequired, TypedDict, cast

from crackcli.errors import InputError
from crackcli.rasters.areas.excluded import ExcludedAreas
from crackcli.rasters.resampled import FULL_RESOLUTION

NEEDED = ("source", "masking", "threshold", "tiles_gated", "crack_px", "seconds")
# Options that decide which cracks a scan finds, and where scene.json contains them.
OPTIONS = {
    "method": ("scored", "engine", "method"),
    "start": ("scored", "engine", "start"),
    "baseline": ("scored", "engine", "baseline"),
    "gate": ("scored", "gate"),
    "look": ("scored", "look"),
    "zoom": ("scored", "zooms"),
    "masking": ("masking", "recipe"),
    "threshold": ("masking", "threshold"),
    "min-area-px": ("masking", "min_area_px"),
}

Prescreening = float | list[str | float] | None  # option --look; a list for --look-in int8


class SourceRecord(TypedDict):
    """The photograph as a file; ``path`` is relative to the output folder, ``orientation`` that of
    EXIF, ``stretch`` the value range of data that is not 8 bit; ``notes`` say where nodata differs
    from what the file says."""

    file: str
    path: NotRequired[str]
    sha256: str
    megapixels: float
    orientation: int
    stretch: Any
    notes: NotRequired[list[str]]


class ExcludedRecord(TypedDict):
    """Areas that the user excluded: the files that they may come from, the number of valid pixels
    in them, and the polygons in pixel edges as WKT."""

    files: list[str]
    px: int
    polygons: str


class ScaleRecord(TypedDict):
    """The fields of a `crackcli.scenes.scale.Scale`."""

    mm_per_px: float
    sigma: float | None
    source: str


class HintsRecord(TypedDict):
    """The input of a search for scales: the file, the user's hints, and the version of the rules
    (`crackcli.scenes.recorded_scale.RULES`)."""

    rules: int
    sha256: str
    marker_mm: float | None
    distance_m: float | None


class PhotographRecord(TypedDict):
    """The scales found in a photograph, and when it was taken, ISO 8601 in UTC."""

    asked: HintsRecord
    acquired_utc: str | None
    scales: list[ScaleRecord]


class EngineRecord(TypedDict, total=False):
    """`crackcli.engines.engine.EngineFacts` without the device; older files lack the last ones."""

    engine: str
    model: str
    model_sha256: str
    network: str
    method: str
    start: str
    tile_px: int
    stride_px: int
    reach_px: int
    margin: float
    kind: str
    passes: int
    baseline: str | None
    precision: str
    calibration: dict[str, Any] | None


class ReadingRecord(TypedDict, total=False):
    """How the photograph is read (`crackcli.rasters.reader.RasterInfo`), where it is not upright,
    has chosen bands, is one page of several, has another encoding than sRGB, or excluded areas."""

    orientation: int
    bands: list[int]
    page: int
    gamma: float
    excluded: str  # digest of the excluded areas


class ScoredRecord(ReadingRecord):
    """Everything that ``score.tif`` depends on (`crackcli.scan.fingerprint`)."""

    source_sha256: str
    transform: list[float]
    crs_wkt: str | None
    engine: EngineRecord
    gate: float
    look: Prescreening
    core_px: int
    zooms: list[float]
    crackcli_version: str


class MaskingRecord(TypedDict):
    """The fields of a `crackcli.masking.refinement.Masking`."""

    recipe: str
    threshold: float | None
    min_area_px: int | None


class TileGridRecord(TypedDict):
    """P(crack) of the tiles at one zoom: ``rows`` by ``cols`` tiles, a fraction ``share_at_gate``
    of them at the gate or above."""

    zoom: float
    rows: int
    cols: int
    stride_px: float
    mean: float
    max: float
    share_at_gate: float
    histogram: list[int]


class SceneFacts(TypedDict):
    """The JSON object that a scan writes, in the order of its keys."""

    source: SourceRecord
    photograph: PhotographRecord
    scored: ScoredRecord
    device: str
    precision: str
    licence: str | None
    masking: MaskingRecord
    threshold: float
    tiles_gated: float
    probability: list[TileGridRecord]
    crack_px: int
    seconds: dict[str, float]
    excluded: NotRequired[ExcludedRecord]
    files: NotRequired[dict[str, str]]  # SHA-256 of mask.tif and score.tif


@dataclass(frozen=True)
class ScanResult:
    """The figures of a finished scan: size of the photograph, crack pixels of the mask, threshold
    of the score, and the fraction of tiles at the gate or above."""

    megapixels: float
    crack_px: int
    threshold: float
    tiles_gated: float


@dataclass(frozen=True)
class SceneRecord:
    """The content of ``scene.json`` beside the grid.

    ``facts`` is the JSON object as it was read: a `SceneFacts`, or what another version wrote.
    """

    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def source_file(self) -> str | None:
        """Name of the photograph's file; None if missing."""
        return cast("str | None", self._at("source", "file"))

    @property
    def source_path(self) -> str | None:
        """Path of the photograph relative to the output folder; None if missing."""
        return cast("str | None", self._at("source", "path"))

    @property
    def source_sha256(self) -> str | None:
        """Digest of the photograph's file; None if missing."""
        return cast("str | None", self._at("source", "sha256"))

    @property
    def photograph(self) -> PhotographRecord | None:
        """The scales found in the photograph; None in files of scans that did not search."""
        return cast("PhotographRecord | None", self.facts.get("photograph") or None)

    @property
    def acquired_utc(self) -> str | None:
        """When the photograph was taken, ISO 8601 in UTC; None if unknown."""
        return cast("str | None", self._at("photograph", "acquired_utc"))

    @property
    def scales(self) -> list[ScaleRecord]:
        """The scales found in the photograph; empty if missing."""
        return cast("list[ScaleRecord]", self._at("photograph", "scales", default=[]))

    @property
    def scored(self) -> ScoredRecord | None:
        """Everything that the score depends on; None if missing."""
        return cast("ScoredRecord | None", self.facts.get("scored"))

    @property
    def bands(self) -> tuple[int, ...]:
        """The bands that were chosen as colours; empty if none were."""
        return tuple(cast("list[int]", self._at("scored", "bands", default=[])))

    @property
    def page(self) -> int | None:
        """Which full-size page of the file was scanned, from 1; None if it has only one."""
        return cast("int | None", self._at("scored", "page"))

    @property
    def excluded_px(self) -> int:
        """Number of valid pixels in excluded areas."""
        return cast(int, self._at("excluded", "px", default=0))

    @property
    def excluded(self) -> ExcludedAreas | None:
        """The excluded areas; raises `InputError` if they are damaged."""
        text = self._at("excluded", "polygons")
        if text is None:
            return None
        try:
            return ExcludedAreas.from_wkt(str(text))
        except ValueError as error:
            raise InputError(f"scene.json: {error}; scan this image again") from error

    @property
    def engine(self) -> EngineRecord:
        """The model and how it was run; empty if missing."""
        return cast(EngineRecord, self._at("scored", "engine", default={}))

    @property
    def model(self) -> str | None:
        """Name of the model's file; None if missing."""
        return self.engine.get("model")

    @property
    def model_sha256(self) -> str | None:
        """Digest of the model's file; None if missing."""
        return self.engine.get("model_sha256")

    @property
    def licence(self) -> str | None:
        """Short name of the licence of the model; None if it is not stated."""
        return cast("str | None", self.facts.get("licence"))

    @property
    def method(self) -> str | None:
        """Attribution method; None if missing."""
        return self.engine.get("method")

    @property
    def gate(self) -> float | None:
        """Threshold on P(crack) of tiles; None if missing."""
        return cast("float | None", self._at("scored", "gate"))

    @property
    def look(self) -> Prescreening:
        """The option --look; None if missing: no prescreening."""
        return cast(Prescreening, self._at("scored", "look"))

    @property
    def zooms(self) -> list[float]:
        """Scales at which the photograph was processed; [1.0] if missing."""
        return cast("list[float]", self._at("scored", "zooms", default=list(FULL_RESOLUTION)))

    @property
    def masking(self) -> MaskingRecord | None:
        """Options of the mask; None if missing."""
        return cast("MaskingRecord | None", self.facts.get("masking"))

    @property
    def threshold(self) -> float | None:
        """Score above which a pixel belongs to a crack; None if missing."""
        return cast("float | None", self.facts.get("threshold"))

    @property
    def tile_grids(self) -> list[TileGridRecord]:
        """P(crack) by zoom; empty if missing, or if the method has no classifier."""
        return cast("list[TileGridRecord]", self.facts.get("probability") or [])

    @property
    def seconds(self) -> dict[str, float]:
        """Time of each step of the scan; empty if missing."""
        return cast("dict[str, float]", self.facts.get("seconds") or {})

    @property
    def device(self) -> str | None:
        """The device of the scan; None if missing."""
        return cast("str | None", self.facts.get("device"))

    def digest_of(self, name: str) -> str | None:
        """Digest of the file ``name`` of the scene as the scan wrote it; None if missing."""
        return cast("str | None", self._at("files", name))

    @property
    def complete(self) -> bool:
        """Whether all keys are there that a scan needs to keep this scene."""
        return all(name in self.facts for name in NEEDED)

    @property
    def result(self) -> ScanResult:
        """The figures of the scan; raises `InputError` if one is missing."""
        try:
            return ScanResult(
                megapixels=self.facts["source"]["megapixels"],
                crack_px=self.facts["crack_px"],
                threshold=self.facts["threshold"],
                tiles_gated=self.facts["tiles_gated"],
            )
        except (KeyError, TypeError) as error:
            raise InputError(f"scene.json: {error} is missing; scan this image again") from error

    def options(self) -> dict[str, Any]:
        """Return the values of `OPTIONS` that the file contains, by name."""
        found = {name: self._at(*path, default=MISSING) for name, path in OPTIONS.items()}
        return {name: value for name, value in found.items() if value is not MISSING}

    def subset(self, names: Sequence[str]) -> dict[str, Any]:
        """Return those of the top keys ``names`` that the file contains, with their values."""
        return {name: self.facts[name] for name in names if name in self.facts}

    def with_source_path(self, path: str) -> "SceneRecord":
        """Return the same record with another path of the photograph."""
        return SceneRecord({**self.facts, "source": {**self.facts["source"], "path": path}})

    def with_files(self, digests: Mapping[str, str]) -> "SceneRecord":
        """Return the same record with the digests of its files."""
        return SceneRecord({**self.facts, "files": dict(digests)})

    def with_photograph(self, found: PhotographRecord) -> "SceneRecord":
        """Return the same record with other scales."""
        return SceneRecord({**self.facts, "photograph": found})

    def _at(self, *path: str, default: object = None) -> object:
        """Return the value at the end of a ``path`` of keys, or ``default`` if one is missing."""
        value: object = self.facts
        for key in path:
            if not isinstance(value, Mapping) or key not in value:
                return default
            value = value[key]
        return value


MISSING = object()
