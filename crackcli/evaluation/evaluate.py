"""An evaluation: run every method on labelled photographs, under one protocol or both.

study  the protocol of Forest et al. 2024 (`crackcli.evaluation.study_protocol`): each photograph
       is one tile; cracked photographs only, no tolerance, mask pixels of value 255 are crack
ours   each photograph is a scene, scanned and refined by the defaults of crackcli scan; crack-free
       photographs count too, where every marked pixel is a false positive; also with a tolerance;
       mask values above 127 are crack

Methods run one after the other, so that one model is in memory at a time. Nothing is tuned here.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from crackcli.arrays import Bools
from crackcli.datasets.mask_values import AUTOMATIC, MaskValues
from crackcli.datasets.pixel_labels import (
    CRACK_ABOVE,
    LabelledPhotograph,
    LabelledSet,
    evenly_spaced,
    find_sets,
)
from crackcli.datasets.pixel_scores import PixelScores, compare
from crackcli.errors import InputError, UsageError
from crackcli.evaluation.candidates import (
    OURS,
    STUDY,
    Masked,
    MethodChoice,
    OpenedMethod,
    make_growth_masker,
    make_masker,
    open_methods,
)
from crackcli.evaluation.growth import Growth, follow
from crackcli.evaluation.measures import MaskMeasures, measure
from crackcli.evaluation.study_protocol import STUDY_CRACK
from crackcli.evaluation.trajectories import WrittenTrajectory, best_growth, write_trajectories
from crackcli.files import temporary_folder
from crackcli.progress import Progress, ignore

log = logging.getLogger(__name__)

PROTOCOLS = {"both": (STUDY, OURS), "study": (STUDY,), "ours": (OURS,)}
SHEET = 8  # photographs on the contact sheet


@dataclass(frozen=True)
class EvaluateTask:
    """The labelled photographs, the methods and protocols, and the output folder."""

    data: Path
    output: Path
    choice: MethodChoice = MethodChoice()
    protocols: tuple[str, ...] = (STUDY, OURS)
    tolerance_px: int = 2  # in our protocol, besides 0
    limit: int | None = None  # photographs of each folder
    mask_values: MaskValues = AUTOMATIC
    growth: bool = False
    trajectories: int = 100
    seed: int = 0  # of the growth experiment and of the paper's k-means
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.tolerance_px < 0:
            raise UsageError(f"--tolerance-px {self.tolerance_px}: must be 0 or more")
        for name in ("limit", "trajectories"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise UsageError(f"--{name} {value}: must be at least 1")

    def tolerances(self, protocol: str) -> tuple[int, ...]:
        """Return the tolerances in px: 0 only in the paper's protocol, 0 and the option in ours."""
        return (0,) if protocol == STUDY else tuple(sorted({0, self.tolerance_px}))


@dataclass(frozen=True)
class Scores:
    """The scores of a method on N photographs; scores of several sets can be added.

    pixels      by tolerance in px, over all photographs
    crack_free  over the crack-free photographs only
    found       (N)  measures of the predicted masks
    true        (N)  measures of the labels
    seconds     of making the masks, and the megapixels processed in this time
    """

    pixels: dict[int, PixelScores] = field(default_factory=dict)
    crack_free: PixelScores = PixelScores()
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
            self.crack_free + other.crack_free,
            self.found + other.found,
            self.true + other.true,
            self.seconds + other.seconds,
            self.megapixels + other.megapixels,
        )


@dataclass(frozen=True, eq=False)
class Entry:
    """The results of a method: scores by set, growth by experiment, and the masks (rows, cols) of
    the photographs on the contact sheet."""

    method: OpenedMethod
    scores: dict[str, Scores]
    growth: dict[str, Growth]
    masks: dict[Path, Bools]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """All results of an evaluation.

    left_out     the reason for each method that is not among the entries
    best_growth  the growth that the true pixels give, by experiment
    sheet        the photographs of the contact sheet
    """

    sets: list[LabelledSet]
    entries: list[Entry]
    left_out: dict[str, str]
    best_growth: dict[str, Growth]
    sheet: list[LabelledPhotograph]


class GroundTruth:
    """The labels of photographs and their measures, which are computed once for all methods."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.known: dict[tuple[Path, int], MaskMeasures] = {}

    def crack_pixels(self, item: LabelledPhotograph, protocol: str) -> Bools:
        """Return the crack pixels (rows, cols) of a photograph under a protocol."""
        values = item.label_values()
        return values == STUDY_CRACK if protocol == STUDY else values > CRACK_ABOVE

    def measures(self, item: LabelledPhotograph, crack: Bools) -> MaskMeasures:
        """Return the measures of the crack pixels (rows, cols).

        The crack pixels of one protocol contain those of the other; equal counts mean equal masks.
        """
        key = item.photograph, int(crack.sum())
        if key not in self.known:
            self.known[key] = measure(crack, self.seed)
        return self.known[key]


class Counter:
    """Reports progress by the number of masks made so far."""

    def __init__(self, progress: Progress, total: int) -> None:
        self.progress = progress
        self.total = total
        self.done = 0

    def begin(self, method: OpenedMethod, photograph: Path) -> None:
        """Report the mask that is made next."""
        candidate = method.candidate
        words = f"{candidate.method} ({candidate.protocol}) {photograph.name}"
        self.progress(self.done / self.total, words)
        self.done += 1


@dataclass(frozen=True, eq=False)
class Inputs:
    """What every method is evaluated on."""

    sets: list[LabelledSet]
    sheet: list[LabelledPhotograph]
    trajectories: Mapping[str, Sequence[WrittenTrajectory]]  # by growth experiment
    truth: GroundTruth

    def count(self, method: OpenedMethod) -> int:
        """Return the number of masks that a method makes."""
        steps = sum(len(t.photographs) for each in self.trajectories.values() for t in each)
        protocol = method.candidate.protocol
        return steps + sum(len(evaluated(each, protocol)) for each in self.sets)


def evaluate(task: EvaluateTask, progress: Progress = ignore) -> Evaluation:
    """Evaluate every method on every photograph; nothing is written."""
    sets = find_sets(task.data, task.limit, task.mask_values)
    cracked = [item for each in sets for item in each.cracked]
    if not cracked:
        raise InputError(f"{task.data}: {without_crack(task.mask_values)}")
    methods = open_methods(task.choice, task.protocols)
    for method, reason in methods.left_out.items():
        log.warning("%s is left out: %s", method, reason)
    used = {(one.facts.engine, one.facts.device) for one in methods.opened}
    log.info("engine %s", ", ".join(f"{engine} on {device}" for engine, device in sorted(used)))
    with temporary_folder() as folder:
        trajectories: dict[str, list[WrittenTrajectory]] = {}
        if task.growth:
            trajectories = write_trajectories(sets, task.trajectories, task.seed, folder)
        sheet = evenly_spaced(cracked, SHEET)
        inputs = Inputs(sets, sheet, trajectories, GroundTruth(task.seed))
        counter = Counter(progress, sum(map(inputs.count, methods.opened)))
        entries = [
            evaluate_method(method, inputs, task, folder, counter) for method in methods.opened
        ]
    best = {name: best_growth(each) for name, each in trajectories.items()}
    return Evaluation(sets, entries, methods.left_out, best, sheet)


def without_crack(mask_values: MaskValues) -> str:
    """Return what is wrong if no mask has a crack pixel."""
    if mask_values.crack is None:
        return "no mask has a crack pixel; add masks of cracked photographs"
    return (
        f"no mask has a pixel of value {mask_values.crack.text} (--mask-crack); leave the option "
        "out to see which values there are"
    )


def evaluate_method(
    method: OpenedMethod, inputs: Inputs, task: EvaluateTask, folder: Path, counter: Counter
) -> Entry:
    """Evaluate one method on all sets and trajectories; ``folder`` is for temporary scenes."""
    scorer = method.candidate.open()
    masker = make_masker(method, scorer, folder)
    masker(inputs.sheet[0].photograph)  # not timed: the first call loads and allocates
    on_sheet = {item.photograph for item in inputs.sheet}
    masks: dict[Path, Bools] = {}
    scores: dict[str, Scores] = {}
    for each in inputs.sets:
        scores[each.name] = Scores()
        for item in evaluated(each, method.candidate.protocol):
            counter.begin(method, item.photograph)
            masked = masker(item.photograph)
            if item.photograph in on_sheet:
                masks[item.photograph] = masked.mask
            scores[each.name] += score(item, masked, inputs.truth, method.candidate.protocol, task)
    growth: dict[str, Growth] = {}
    if inputs.trajectories:
        masker = make_growth_masker(method, scorer, folder)
        for name, trajectories in inputs.trajectories.items():
            found: list[list[MaskMeasures]] = []
            for trajectory in trajectories:
                found.append([])
                for photograph in trajectory.photographs:
                    counter.begin(method, photograph)
                    found[-1].append(measure(masker(photograph).mask, task.seed))
            growth[name] = follow(found, [trajectory.true for trajectory in trajectories])
    return Entry(method, scores, growth, masks)


def evaluated(each: LabelledSet, protocol: str) -> list[LabelledPhotograph]:
    """Return the photographs of a set that count under a protocol."""
    return each.cracked if protocol == STUDY else list(each.photographs)


def score(
    item: LabelledPhotograph,
    masked: Masked,
    truth: GroundTruth,
    protocol: str,
    task: EvaluateTask,
) -> Scores:
    """Return the scores of a mask of one photograph."""
    crack, ignored = truth.crack_pixels(item, protocol), item.ignored()
    counted = masked.mask if ignored is None else masked.mask & ~ignored
    scores = {
        tolerance: compare(counted, crack, tolerance, ignored)
        for tolerance in task.tolerances(protocol)
    }
    return Scores(
        scores,
        PixelScores() if item.cracked else compare(counted, crack, ignored=ignored),
        (measure(counted, task.seed),),
        (truth.measures(item, crack),),
        masked.seconds,
        masked.megapixels,
    )
