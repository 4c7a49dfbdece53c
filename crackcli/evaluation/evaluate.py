"""An evaluation: every method on labelled photographs, by the study's protocol, by ours, or both.

study  each photograph is one tile, its map cut by itself (`crackcli.evaluation.study_protocol`);
cracked photographs
       only, no tolerance; pixels of value 255 are crack
ours   each photograph is a scene, scanned and refined as crackcli scan does it; sound photographs
       count too, what is marked there is wrong; also with a tolerance; values above 127 are crack

Methods come one after the other, so that one model is in memory at a time.  Nothing is tuned here.
"""

import logging
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from crackcli.arrays import Bools
from crackcli.datasets.pixel_labels import LABELLED, Labelled, LabelledSet, find_sets, some
from crackcli.datasets.pixel_scores import PixelScores, compare
from crackcli.errors import InputError, UsageError
from crackcli.evaluation.candidates import (
    OURS,
    STUDY,
    Masked,
    Masker,
    MethodChoice,
    OpenedMethod,
    growth_marker_of,
    line_up,
    masker_of,
)
from crackcli.evaluation.growth import Growth
from crackcli.evaluation.measures import MaskMeasures, measure
from crackcli.evaluation.study_protocol import STUDY_CRACK
from crackcli.evaluation.trajectories import Written, best, followed, write_trajectories
from crackcli.progress import Progress

log = logging.getLogger(__name__)

PROTOCOLS = {"both": (STUDY, OURS), "study": (STUDY,), "ours": (OURS,)}
SHEET = 8  # photographs on the contact sheet


@dataclass(frozen=True)
class EvaluateTask:
    """Labelled photographs, who is to be judged by them and how, and where the result goes."""

    data: Path
    output: Path
    choice: MethodChoice = MethodChoice()
    protocols: tuple[str, ...] = (STUDY, OURS)
    tolerance_px: int = 2  # in our protocol, beside 0
    limit: int | None = None  # photographs of each folder
    growth: bool = False
    trajectories: int = 100
    seed: int = 0  # of the growth experiment, and of the study's k-means
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.tolerance_px < 0:
            raise UsageError(f"a tolerance of {self.tolerance_px} px is none; give 0 or more")
        for name in ("limit", "trajectories"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise UsageError(f"{name} is {value}; give at least 1")

    def tolerances(self, protocol: str) -> tuple[int, ...]:
        """The study knows none; in ours 0 stands beside the one that was chosen."""
        return (0,) if protocol == STUDY else tuple(sorted({0, self.tolerance_px}))


@dataclass(frozen=True)
class Scores:
    """A contender on N photographs; scores of several sets add up.

    ``pixels`` by tolerance, of all photographs; ``sound`` of those without a crack; ``found`` and
    ``true`` (N) measures of the masks.
    """

    pixels: dict[int, PixelScores] = field(default_factory=dict)
    sound: PixelScores = PixelScores()
    found: tuple[MaskMeasures, ...] = ()
    true: tuple[MaskMeasures, ...] = ()
    seconds: float = 0.0
    megapixels: float = 0.0

    def __add__(self, other: "Scores") -> "Scores":
        nothing = PixelScores()
        pixels = {
            tolerance: self.pixels.get(tolerance, nothing) + other.pixels.get(tolerance, nothing)
            for tolerance in sorted(self.pixels.keys() | other.pixels.keys())
        }
        return Scores(
            pixels,
            self.sound + other.sound,
            self.found + other.found,
            self.true + other.true,
            self.seconds + other.seconds,
            self.megapixels + other.megapixels,
        )


@dataclass(frozen=True, eq=False)
class Entry:
    """A contender and its results, by set and by growth experiment; ``masks`` are those for the
    contact sheet, by photograph."""

    seat: OpenedMethod
    scores: dict[str, Scores]
    growth: dict[str, Growth]
    masks: dict[Path, Bools]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """All results.  ``best_growth`` is what the true pixels give, ``sheet`` the photographs of the
    contact sheet, ``left_out`` why methods are not among the entries."""

    sets: list[LabelledSet]
    entries: list[Entry]
    left_out: dict[str, str]
    best_growth: dict[str, Growth]
    sheet: list[Labelled]


def evaluate(task: EvaluateTask, progress: Progress = lambda share, words: None) -> Evaluation:
    """Judge every contender on every photograph; nothing is written."""
    sets = find_sets(task.data, task.limit)
    cracked = [item for each in sets for item in each.cracked]
    if not cracked:
        raise InputError(f"all masks of {task.data} are empty; give some of cracked photographs")
    sheet = some(cracked, SHEET)
    lined_up = line_up(task.choice, task.protocols)
    for method, reason in lined_up.left_out.items():
        log.warning("%s is left out: %s", method, reason)
    used = {(seat.facts.engine, seat.facts.device) for seat in lined_up.seats}
    log.info("engine %s", ", ".join(f"{engine} on {device}" for engine, device in sorted(used)))
    truths = GroundTruth(task.seed)
    entries = []
    with tempfile.TemporaryDirectory(prefix="crackcli-") as name:
        folder = Path(name)
        trajectories: dict[str, list[Written]] = {}
        if task.growth:
            trajectories = write_trajectories(sets, task.trajectories, task.seed, folder)
        counted = Counted(progress, lined_up.seats, sets, trajectories)
        for seat in lined_up.seats:
            explainer = seat.contender.open()
            marker = masker_of(seat, explainer, folder)
            marker(cracked[0].photograph)  # not timed: the first call sets things up
            masks: dict[Path, Bools] = {}
            marker = counted.told(keeping(marker, sheet, masks), seat)
            scores = {each.name: score(each, seat, marker, truths, task) for each in sets}
            growth: dict[str, Growth] = {}
            if trajectories:
                marker = counted.told(growth_marker_of(seat, explainer, folder), seat)
                growth = {
                    name: followed(each, marker, task.seed) for name, each in trajectories.items()
                }
            entries.append(Entry(seat, scores, growth, masks))
    best_growth = {name: best(each) for name, each in trajectories.items()}
    return Evaluation(sets, entries, lined_up.left_out, best_growth, sheet)


class GroundTruth:
    """What is true of photographs; measured once for all contenders."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.known: dict[tuple[Path, int], MaskMeasures] = {}

    def flags(self, item: Labelled, protocol: str) -> Bools:
        """Which pixels (rows, cols) are crack."""
        values = item.values()
        return values == STUDY_CRACK if protocol == STUDY else values > LABELLED

    def measures(self, item: Labelled, flags: Bools) -> MaskMeasures:
        """Of the true pixels; those of one protocol hold those of the other, so that masks of one
        photograph that are equally large are the same."""
        key = item.photograph, int(flags.sum())
        if key not in self.known:
            self.known[key] = measure(flags, self.seed)
        return self.known[key]


def judged_in(each: LabelledSet, protocol: str) -> list[Labelled]:
    """The photographs of a set that count."""
    return each.cracked if protocol == STUDY else list(each.photographs)


def keeping(marker: Masker, wanted: Iterable[Labelled], masks: dict[Path, Bools]) -> Masker:
    """The marker, which puts masks of the photographs that are wanted into ``masks``."""
    names = {item.photograph for item in wanted}

    def mark(photograph: Path) -> Masked:
        marked = marker(photograph)
        if photograph in names:
            masks[photograph] = marked.mask
        return marked

    return mark


def score(
    each: LabelledSet, seat: OpenedMethod, marker: Masker, truths: GroundTruth, task: EvaluateTask
) -> Scores:
    """A contender on a set."""
    protocol = seat.contender.protocol
    total = Scores()
    for item in judged_in(each, protocol):
        marked, true = marker(item.photograph), truths.flags(item, protocol)
        tolerances = task.tolerances(protocol)
        total += Scores(
            {tolerance: compare(marked.mask, true, tolerance) for tolerance in tolerances},
            PixelScores() if item.cracked else compare(marked.mask, true),
            (measure(marked.mask, task.seed),),
            (truths.measures(item, true),),
            marked.seconds,
            marked.megapixels,
        )
    return total


class Counted:
    """Log by photographs that have been marked."""

    def __init__(
        self,
        progress: Progress,
        seats: Iterable[OpenedMethod],
        sets: Iterable[LabelledSet],
        trajectories: dict[str, list[Written]],
    ) -> None:
        self.progress = progress
        self.done = 0
        steps = sum(len(t.photographs) for each in trajectories.values() for t in each)
        self.total = sum(
            steps + sum(len(judged_in(each, seat.contender.protocol)) for each in sets)
            for seat in seats
        )

    def told(self, marker: Masker, seat: OpenedMethod) -> Masker:
        """The marker, which tells of each photograph."""

        def mark(photograph: Path) -> Masked:
            contender = seat.contender
            words = f"{contender.method} ({contender.protocol}) {photograph.name}"
            self.progress(self.done / self.total, words)
            self.done += 1
            return marker(photograph)

        return mark
