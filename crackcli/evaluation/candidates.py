"""Who takes part in an evaluation: methods, the models that serve them, and what turns a
photograph into a mask.

A method is tried with every model file that was given, so that networks find the methods that are
made for them; the shipped models serve what none of these does, unless they are of a network that
was given.  What a method lacks (a graph, a package, a network) leaves it out by name if all methods
were asked for, and is an error if it was named.
"""

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from numpy.typing import NDArray

from crackcli.arrays import Bools
from crackcli.datasets.pixel_labels import LabelledPhotograph
from crackcli.engines.engine import EngineFacts
from crackcli.engines.opening import network_of
from crackcli.errors import DeviceError, ModelError, UsageError
from crackcli.evaluation.study_protocol import (
    BASELINES,
    half_mask,
    maps_of,
    resized_mask,
    start_of,
    study_mask,
)
from crackcli.inference.opening import open_explainer
from crackcli.inference.options import ModelOptions
from crackcli.inference.strips import StripScorer
from crackcli.rasters.reader import CRACK, read_band
from crackcli.registry import EXTRAS, METHODS, find_method
from crackcli.scan.raster import ScanTask, scan_raster

ALL = ("all",)
STUDY, OURS = "study", "ours"  # protocols
LACKS = (ModelError, UsageError, ModuleNotFoundError)  # what keeps a method out


@dataclass(frozen=True)
class MethodChoice:
    """The methods that are asked for, and what they are opened with; None and auto are the
    defaults of crackcli scan."""

    methods: tuple[str, ...] = ALL
    models: tuple[Path, ...] = ()
    start: str | None = None
    engine: str = "auto"
    device: str = "auto"


@dataclass(frozen=True)
class Candidate:
    """One method of one model under one protocol; None is the default of method and model."""

    protocol: str
    method: str
    model_options: ModelOptions  # of any method

    def open(self) -> StripScorer:
        """Open the model and return what scores photographs with it."""
        return open_explainer(replace(self.model_options, method=self.method))


@dataclass(frozen=True)
class OpenedMethod:
    """A contender that could be opened, and what it is."""

    contender: Candidate
    facts: EngineFacts


@dataclass(frozen=True)
class OpenedMethods:
    """All who take part, and why others are left out: a reason by method, or by method and
    protocol where the other protocol has it."""

    seats: list[OpenedMethod]
    left_out: dict[str, str]


def line_up(choice: MethodChoice, protocols: Sequence[str]) -> OpenedMethods:
    """Everyone who can take part; each is opened once, so that what is missing shows at once.

    Raises what a named method lacks, or what the first one lacks if nobody is left; a device that
    is not usable, whoever it is for.
    """
    named = choice.methods != ALL
    networks = {network_of(model) for model in choice.models}
    seats: list[OpenedMethod] = []
    left_out: dict[str, Exception] = {}
    for method in choice.methods if named else METHODS:
        lacks: dict[str, Exception] = {}
        for protocol in protocols:
            try:
                seats += seats_of(method, protocol, choice, networks)
            except LACKS as error:
                if named:
                    raise
                lacks[f"{method} ({protocol})"] = error
        everywhere = len(lacks) == len(protocols)
        left_out |= {method: next(iter(lacks.values()))} if everywhere else lacks
    if not seats:
        raise next(iter(left_out.values()))
    devices = {seat.contender.model_options.device for seat in seats}
    if choice.device == "cuda" and devices == {"cpu"}:
        methods = ", ".join(dict.fromkeys(seat.contender.method for seat in seats))
        raise DeviceError(f"{methods}: on the CPU only; leave --device cuda out")
    return OpenedMethods(seats, {name: told(error) for name, error in left_out.items()})


def told(error: Exception) -> str:
    """What a method lacks, in a sentence."""
    if isinstance(error, ModuleNotFoundError):
        package = (error.name or "").partition(".")[0]
        if package not in EXTRAS:
            raise error
        command = f"pip install -c constraints.txt '.[{EXTRAS[package]}]'"
        return f"{package} is not installed; in the folder of crackcli's code, {command} brings it"
    return str(error)


def seats_of(
    method: str, protocol: str, choice: MethodChoice, networks: set[str]
) -> list[OpenedMethod]:
    """The models that serve a method, each once; raises what the first one lacks if none does.

    ``networks`` are those of the models that were given.
    """
    seats: dict[str, OpenedMethod] = {}
    lacks: list[Exception] = []
    for model in choice.models:
        try:
            seat = seat_of(method, protocol, model, choice)
        except LACKS as error:
            lacks.append(error)
        else:
            seats.setdefault(seat.facts.model_sha256, seat)
    if seats:
        return list(seats.values())
    try:
        seat = seat_of(method, protocol, None, choice)
    except LACKS as error:
        raise (lacks or [error])[0] from error
    if seat.facts.network in networks:
        raise lacks[0]
    return [seat]


def seat_of(method: str, protocol: str, model: Path | None, choice: MethodChoice) -> OpenedMethod:
    """The first way to open a method that works; raises what the last one lacks."""
    lacks: list[Exception] = []
    for start, baseline in ways(method, protocol, choice):
        device = "cpu" if find_method(method).network is None else choice.device
        options = ModelOptions(
            model=model,
            start=start,
            baseline=baseline,
            engine=choice.engine,
            device=device,
            precision="float32",
        )
        contender = Candidate(protocol, method, options)
        try:
            return OpenedMethod(contender, contender.open().engine.facts)
        except LACKS as error:
            lacks.append(error)
    # The plainest way is the last one; what a model lacks says more than that torch is missing.
    raise next((e for e in reversed(lacks) if isinstance(e, ModelError)), lacks[-1])


def ways(
    method: str, protocol: str, choice: MethodChoice
) -> Iterator[tuple[str | None, str | None]]:
    """Starts and baselines in the order in which they are tried: in its protocol the study's, then
    what a model has, as that of a graph is fixed."""
    if protocol == STUDY:
        start = choice.start or start_of(method)
        if method in BASELINES:
            yield start, BASELINES[method]
        yield start, None
    yield choice.start, None


@dataclass(frozen=True, eq=False)
class Masked:
    """A mask (rows, cols), the seconds that it took, and of how many megapixels."""

    mask: Bools
    seconds: float
    megapixels: float


Masker = Callable[[Path], Masked]


def masker_of(seat: OpenedMethod, explainer: StripScorer, folder: Path) -> Masker:
    """What turns photographs into masks by a protocol; scenes come and go in ``folder``."""
    if seat.contender.protocol == OURS:
        return lambda photograph: scanned(explainer, photograph, folder)
    return lambda photograph: seen_as_tile(explainer, photograph, study_mask)


def growth_marker_of(seat: OpenedMethod, explainer: StripScorer, folder: Path) -> Masker:
    """The same for the growth experiment, in which the study cuts maps that are probabilities at
    a half, and compares with the methods' own baselines."""
    contender = seat.contender
    if contender.protocol == OURS:
        return masker_of(seat, explainer, folder)
    if contender.model_options.baseline is not None:
        own_baseline = replace(contender.model_options, baseline=None)
        explainer = replace(contender, model_options=own_baseline).open()
    masked = half_mask if find_method(contender.method).probability else study_mask
    return lambda photograph: seen_as_tile(explainer, photograph, masked)


def seen_as_tile(
    explainer: StripScorer, photograph: Path, masked: Callable[[NDArray], Bools]
) -> Masked:
    """The mask by the study's protocol; the time is that of the map, the pixels the tile's."""
    image = LabelledPhotograph(photograph).image()
    began = time.monotonic()
    (score_map,) = maps_of(explainer.engine, [image])
    seconds = time.monotonic() - began
    return Masked(resized_mask(masked(score_map), image.shape[:2]), seconds, score_map.size / 1e6)


def scanned(explainer: StripScorer, photograph: Path, folder: Path) -> Masked:
    """The mask of a photograph that is scanned as a scene of its own, by the defaults of crackcli
    scan; the time is that of the scan, its files included."""
    scene = folder / "scene"
    began = time.monotonic()
    found = scan_raster(ScanTask(photograph, scene), explainer)
    seconds = time.monotonic() - began
    mask = read_band(found.mask) == CRACK
    shutil.rmtree(scene)
    return Masked(mask, seconds, mask.size / 1e6)
