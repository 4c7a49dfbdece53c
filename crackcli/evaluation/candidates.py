"""The candidates of an evaluation: which methods run with which models, and how they make masks.

Each method is tried with every given model file, so networks find the methods made for them. A
shipped model serves a method that no given model can serve, unless its network was given. A
method may not be available: a graph, a package or a network is missing. It is then left out with
a reason if all methods were requested, and raises an error if it was named.
"""

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from crackcli.arrays import Bools
from crackcli.datasets.pixel_labels import LabelledPhotograph
from crackcli.engines.engine import EngineFacts
from crackcli.engines.opening import read_network
from crackcli.errors import DeviceError, ModelError, UsageError
from crackcli.evaluation.study_protocol import (
    BASELINES,
    Floats,
    probability_mask,
    resize_mask,
    score_maps,
    study_mask,
    study_start,
)
from crackcli.inference.opening import open_scorer
from crackcli.inference.options import ModelOptions
from crackcli.inference.strips import StripScorer
from crackcli.rasters.score_mask import CRACK, read_band
from crackcli.registry import EXTRAS, METHODS, find_method
from crackcli.scan.raster import ScanTask, scan_raster

ALL = ("all",)
STUDY, OURS = "study", "ours"  # protocols: of Forest et al. 2024, and of crackcli scan
NOT_AVAILABLE = (ModelError, UsageError, ModuleNotFoundError)  # raised by a method that cannot run


@dataclass(frozen=True)
class MethodChoice:
    """The requested methods and their options; None and auto are the defaults of crackcli scan."""

    methods: tuple[str, ...] = ALL
    models: tuple[Path | str, ...] = ()  # files, or names of shipped models
    start: str | None = None
    engine: str = "auto"
    device: str = "auto"


@dataclass(frozen=True)
class Candidate:
    """One method with one model under one protocol; ``model_options`` are those of any method."""

    protocol: str
    method: str
    model_options: ModelOptions

    def open(self) -> StripScorer:
        """Open the model and return what scores photographs with it."""
        return open_scorer(replace(self.model_options, method=self.method))


@dataclass(frozen=True)
class OpenedMethod:
    """A candidate that could be opened, and the facts of its engine."""

    candidate: Candidate
    facts: EngineFacts


@dataclass(frozen=True)
class OpenedMethods:
    """The methods to evaluate, and the reason for each method left out.

    A reason's key is the method, or "method (protocol)" if the other protocol can run it.
    """

    opened: list[OpenedMethod]
    left_out: dict[str, str]


def open_methods(choice: MethodChoice, protocols: Sequence[str]) -> OpenedMethods:
    """Open every candidate once, so that missing models and packages are found at once.

    Raises the error of a named method that is not available, or of the first method if none is.
    Raises `DeviceError` if the device cannot be used.
    """
    named = choice.methods != ALL
    networks = {read_network(model) for model in choice.models}
    opened: list[OpenedMethod] = []
    left_out: dict[str, Exception] = {}
    for method in choice.methods if named else METHODS:
        failures: dict[str, Exception] = {}
        for protocol in protocols:
            try:
                opened += open_method(method, protocol, choice, networks)
            except NOT_AVAILABLE as error:
                if named:
                    raise
                failures[f"{method} ({protocol})"] = error
        in_no_protocol = len(failures) == len(protocols)
        left_out |= {method: next(iter(failures.values()))} if in_no_protocol else failures
    if not opened:
        raise next(iter(left_out.values()))
    devices = {one.candidate.model_options.device for one in opened}
    if choice.device == "cuda" and devices == {"cpu"}:
        methods = ", ".join(dict.fromkeys(one.candidate.method for one in opened))
        raise DeviceError(f"--device cuda: {methods} runs on the CPU only; leave it out")
    return OpenedMethods(opened, {name: reason(error) for name, error in left_out.items()})


def reason(error: Exception) -> str:
    """Return why a method is not available; raise ``error`` if a package of no extra is missing."""
    if isinstance(error, ModuleNotFoundError):
        package = (error.name or "").partition(".")[0]
        if package not in EXTRAS:
            raise error
        command = f"pip install -c constraints.txt '.[{EXTRAS[package]}]'"
        return f"{package} is not installed; in the folder of crackcli's code, run {command}"
    return str(error)


def open_method(
    method: str, protocol: str, choice: MethodChoice, networks: set[str]
) -> list[OpenedMethod]:
    """Open a method with each given model that can serve it, else with the shipped model.

    ``networks`` are the networks of the given models. Raises the error of the first given model
    if no model can serve the method.
    """
    opened: dict[str, OpenedMethod] = {}  # by digest: each model once
    failures: list[Exception] = []
    for model in choice.models:
        try:
            one = open_with_model(method, protocol, model, choice)
        except NOT_AVAILABLE as error:
            failures.append(error)
        else:
            opened.setdefault(one.facts.model_sha256, one)
    if opened:
        return list(opened.values())
    try:
        shipped = open_with_model(method, protocol, None, choice)
    except NOT_AVAILABLE as error:
        raise (failures or [error])[0] from error
    if shipped.facts.network in networks:
        raise failures[0]
    return [shipped]


def open_with_model(
    method: str, protocol: str, model: Path | str | None, choice: MethodChoice
) -> OpenedMethod:
    """Open a method with the first start and baseline that the model offers.

    Raises the last `ModelError` if there is one, which says more than that torch is missing.
    """
    failures: list[Exception] = []
    for start, baseline in starts_and_baselines(method, protocol, choice):
        options = ModelOptions(
            model=model,
            start=start,
            baseline=baseline,
            engine=choice.engine,
            device="cpu" if find_method(method).network is None else choice.device,
            precision="float32",
        )
        candidate = Candidate(protocol, method, options)
        try:
            return OpenedMethod(candidate, candidate.open().engine.facts)
        except NOT_AVAILABLE as error:
            failures.append(error)
    raise next((e for e in reversed(failures) if isinstance(e, ModelError)), failures[-1])


def starts_and_baselines(
    method: str, protocol: str, choice: MethodChoice
) -> Iterator[tuple[str | None, str | None]]:
    """Yield (start, baseline) in the order to try: the paper's in its protocol, then the model's
    own, because an exported graph has fixed ones; direct methods have neither."""
    if find_method(method).direct:
        yield None, None
        return
    if protocol == STUDY:
        start = choice.start or study_start(method)
        if method in BASELINES:
            yield start, BASELINES[method]
        yield start, None
    yield choice.start, None


@dataclass(frozen=True, eq=False)
class Masked:
    """A mask (rows, cols), the seconds it took, and the megapixels processed in this time."""

    mask: Bools
    seconds: float
    megapixels: float


Masker = Callable[[Path], Masked]


def make_masker(method: OpenedMethod, scorer: StripScorer, folder: Path) -> Masker:
    """Return the function from photograph to mask under the method's protocol.

    Scenes are written into ``folder`` and removed again.
    """
    if method.candidate.protocol == OURS:
        return lambda photograph: mask_scene(scorer, photograph, folder)
    return lambda photograph: mask_tile(scorer, photograph, study_mask)


def make_growth_masker(method: OpenedMethod, scorer: StripScorer, folder: Path) -> Masker:
    """Return the function from photograph to mask for the growth experiment.

    There the paper thresholds probability maps at 0.5, and uses the methods' own baselines.
    """
    candidate = method.candidate
    if candidate.protocol == OURS:
        return make_masker(method, scorer, folder)
    if candidate.model_options.baseline is not None:
        own_baseline = replace(candidate.model_options, baseline=None)
        scorer = replace(candidate, model_options=own_baseline).open()
    threshold = probability_mask if find_method(candidate.method).probability else study_mask
    return lambda photograph: mask_tile(scorer, photograph, threshold)


def mask_tile(
    scorer: StripScorer, photograph: Path, threshold: Callable[[Floats], Bools]
) -> Masked:
    """Return the mask under the paper's protocol: the photograph resized to one tile.

    The time is that of the score map; the megapixels are those of the tile.
    """
    image = LabelledPhotograph(photograph).image()
    began = time.monotonic()
    (score_map,) = score_maps(scorer.engine, [image])
    seconds = time.monotonic() - began
    return Masked(resize_mask(threshold(score_map), image.shape[:2]), seconds, score_map.size / 1e6)


def mask_scene(scorer: StripScorer, photograph: Path, folder: Path) -> Masked:
    """Scan a photograph as a scene, with the defaults of crackcli scan, and return its mask.

    The time is that of the whole scan with its files.
    """
    scene = folder / "scene"
    began = time.monotonic()
    found = scan_raster(ScanTask(photograph, scene), scorer)
    seconds = time.monotonic() - began
    mask = read_band(found.mask) == CRACK
    shutil.rmtree(scene)
    return Masked(mask, seconds, mask.size / 1e6)
