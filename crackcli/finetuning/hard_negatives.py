"""Hard-negative mining: trains on the false positives of a model on crack-free photographs.

Of every photograph, the tiles in which a classifier or a student finds a crack are taken, in order
of P(crack), and as many others, so that training does not use unusual tiles only. They are written
beside the new model, where a person can inspect them and an interrupted run finds them again:

OUTPUT.mined/no_crack/   the tiles
OUTPUT.mined/crack/      cracks drawn onto them, if there are no photographs of cracks
OUTPUT.mined/mined.json  their model, seed and photographs

Source: Felzenszwalb et al. 2010 (hard-negative mining in object detection).
"""

import json
import logging
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TypedDict

import numpy as np

from crackcli.datasets.folders import LabelledImage, list_photographs, split, tile_name
from crackcli.engines.engine import Engine
from crackcli.engines.torch import TorchEngine
from crackcli.errors import CrackError, InputError, ModelError, OutputError, UsageError
from crackcli.files import output_errors, refuse_existing, write_json
from crackcli.inference.tile_map import TileProbabilities, tile_probabilities
from crackcli.progress import FractionDone, Progress, ignore, part
from crackcli.rasters.access.folders import describe
from crackcli.rasters.grid import Window
from crackcli.rasters.reader import RasterInfo, inspect, read_windows
from crackcli.rasters.writing.images import write_png
from crackcli.registry import CLASSIFIER
from crackcli.scan.inputs import find_rasters
from crackcli.synthesis.twins import cracked_twin
from crackcli.training.config import TrainConfig
from crackcli.training.loop import Split, TrainResult, train
from crackcli.training.patches import read_photograph

log = logging.getLogger(__name__)

SOURCE = "mined"
RECORD = "mined.json"
MAX_FALSE_POSITIVES = 40  # tiles of one photograph
MIN_TRUE_NEGATIVES = 12  # tiles of a photograph that has false positives
SPLIT_BY_PHOTO = 5  # photographs; with fewer, tiles are split, which never overlap
MIN_TWINS = 48  # cracked twins, if there are no photographs of cracks
LOW_RATE = 4e-5  # learning rate if there are no other photographs to train on
KEEP = 1.0  # weight of the distillation loss
MINED_AT, TRAINED_AT = 0.2, 0.8  # progress after mining, and after training


@dataclass(frozen=True)
class NegativePhotograph:
    """The tiles of a crack-free photograph.

    positions  number of tile positions
    before     number of false positives among them, by the earlier model
    mined      number of tiles trained on
    after      number of false positives by the new model; None before the training
    """

    name: str
    path: Path
    positions: int
    before: int
    mined: int
    after: int | None = None


@dataclass(frozen=True)
class MinedTiles:
    """Mined tiles ``found``, and all photographs that were classified for them."""

    found: list[LabelledImage]
    photographs: list[NegativePhotograph]


class MinedPhotograph(TypedDict):
    """The entry of a photograph in ``mined.json``; ``tiles`` are file names."""

    digest: str
    positions: int
    alarms: int
    tiles: list[str]


def train_mined(
    config: TrainConfig, folders: Sequence[Path], progress: Progress = ignore
) -> tuple[TrainResult, list[NegativePhotograph]]:
    """Train on the false positives of ``config.start_from`` on the photographs of ``folders``.

    The photographs of ``config.photographs``, if there are any, are trained on too.
    """
    if config.start_from is None:
        raise UsageError(
            "--mine needs --from: hard negatives are the false positives of a model; try --from "
            "shipped"
        )
    refuse_existing(config.output, overwrite=config.overwrite)
    engine = TorchEngine(config.start_from, device=config.device)
    if engine.facts.network != config.network:
        raise ModelError(
            f"{config.start_from}: is for --network {engine.facts.network}, not {config.network}; "
            "start from another checkpoint, or change --network"
        )
    folder = config.output.with_suffix(".mined")
    mined = mine(folders, engine, folder, config.seed, part(progress, 0, MINED_AT))
    if not mined.found and config.photographs is None:
        raise InputError(
            f"--mine: {config.start_from.name} finds no crack in these photographs, so there is "
            "nothing to learn from them; use the model as it is"
        )
    if not mined.found:
        log.info("--mine: no false positives in these photographs; training without them")
    if config.network != CLASSIFIER:
        config = replace(config, calibrate=False)  # so that the threshold stays
    if config.photographs is None:
        data = split_with_twins(mined, folder, config)
        config = with_small_steps(config)
    else:
        found = list_photographs(config.photographs, config.table)
        data = split([*found, *mined.found], config.held_out, config.seed)
    trained = part(progress, MINED_AT, TRAINED_AT)
    result = train(config, lambda state: trained(state.fraction, state.summary), data)

    engine = TorchEngine(result.output, device=config.device)
    checked = part(progress, TRAINED_AT, 1)
    photographs = []
    for number, photograph in enumerate(mined.photographs, start=1):
        tiles = tile_probabilities(inspect(photograph.path), engine)
        photographs.append(replace(photograph, after=tiles.positives))
        checked(number / len(mined.photographs), f"{photograph.name} with the new model")
    return result, photographs


def with_small_steps(config: TrainConfig) -> TrainConfig:
    """Return ``config`` with a low learning rate, distillation and no calibration.

    For training on mined photographs alone, which would else make the model forget the rest. The
    learning rate of a student's warm start is low in any case, and it has no distillation.
    """
    if config.network != CLASSIFIER:
        return config
    return replace(
        config,
        learning_rate=config.learning_rate or LOW_RATE,
        keep=config.keep or KEEP,
        calibrate=False,
    )


def mine(
    folders: Sequence[Path],
    engine: Engine,
    folder: Path,
    seed: int,
    progress: Progress = ignore,
) -> MinedTiles:
    """Mine the photographs of ``folders`` and write the tiles into ``folder``.

    Tiles of an earlier run with the same model and seed are used again. Unreadable photographs are
    skipped with a warning; an `InputError` is raised if none is left.
    """
    record = MiningRecord.open(folder, {"model_sha256": engine.facts.model_sha256, "seed": seed})
    inputs = find_rasters(folders)
    rasters = inputs.named()
    for failure in inputs.failures:
        log.warning("skipped: %s", failure.message)
    for kind in describe(inputs.skipped):
        log.info("skipped: %s", kind)
    found: list[LabelledImage] = []
    photographs: list[NegativePhotograph] = []
    for number, (name, (path, page)) in enumerate(rasters.items()):

        def report(fraction: float, number: int = number, name: str = name) -> None:
            progress((number + fraction) / len(rasters), f"classifying {name}")

        try:
            info = inspect(path, page=page)
            entry = record.find(name, info.digest) or mine_photograph(
                info, name, engine, folder, seed, report
            )
        except OutputError:
            raise
        except CrackError as error:
            log.warning("skipped: %s", error)
            continue
        record.add(name, entry)
        files = [folder / "no_crack" / file for file in entry["tiles"]]
        found += [LabelledImage(file, 0, name, SOURCE) for file in files]
        photographs.append(
            NegativePhotograph(name, path, entry["positions"], entry["alarms"], len(files))
        )
    if not photographs:
        raise InputError(
            f"--mine {', '.join(map(str, folders))}: no readable photograph; give a folder of "
            "photographs without cracks"
        )
    log.info(
        "%d photographs without cracks: %d of %d tile positions are false positives; %d tiles kept",
        len(photographs),
        sum(each.before for each in photographs),
        sum(each.positions for each in photographs),
        len(found),
    )
    return MinedTiles(found, photographs)


def mine_photograph(
    info: RasterInfo, name: str, engine: Engine, folder: Path, seed: int, report: FractionDone
) -> MinedPhotograph:
    """Classify a photograph, write its mined tiles, and return its entry of ``mined.json``."""
    tiles = tile_probabilities(info, engine, report)
    chosen = choose_tiles(tiles, seed)
    for window, image in read_windows(info, chosen):
        write_png(folder / "no_crack" / tile_name(name, window), image)
    return {
        "digest": info.digest,
        "positions": tiles.positions,
        "alarms": tiles.positives,
        "tiles": sorted(tile_name(name, window) for window in chosen),
    }


def choose_tiles(tiles: TileProbabilities, seed: int) -> list[Window]:
    """Return the false positives, highest P(crack) first, and as many true negatives.

    No tile overlaps another.
    """
    flat = tiles.probability.reshape(-1)
    highest = np.argsort(-flat, kind="stable")
    wrong = tiles.apart(highest[flat[highest] >= tiles.cracked_from], MAX_FALSE_POSITIVES)
    rest = np.random.default_rng(seed).permutation(np.flatnonzero(flat < tiles.cracked_from))
    most = max(len(wrong), MIN_TRUE_NEGATIVES) if wrong else 0
    right = tiles.apart(rest, most, occupied=wrong)
    return [tiles.window(place) for place in (*wrong, *right)]


@dataclass
class MiningRecord:
    """The content of ``mined.json``: the mined photographs, and the model and seed behind them."""

    path: Path
    made_from: dict[str, str | int]
    photographs: dict[str, MinedPhotograph]

    @classmethod
    def open(cls, folder: Path, made_from: dict[str, str | int]) -> "MiningRecord":
        """Read the record of an earlier run with the same ``made_from``, or begin a new one.

        The tiles of another model or seed are removed. Raise an `OutputError` if ``folder`` exists
        and has no record: it is not ours to remove.
        """
        path = folder / RECORD
        if folder.exists() and not path.is_file():
            raise OutputError(
                f"{folder}: was not written by --mine; remove it, or choose another output"
            )
        try:
            earlier = cls(path, **json.loads(path.read_text(encoding="utf-8")))
            if earlier.made_from == made_from:
                return earlier
        except (OSError, ValueError, TypeError):
            pass  # there is none, or it is damaged
        with output_errors(folder):
            shutil.rmtree(folder, ignore_errors=True)
        record = cls(path, made_from, {})
        record.write()
        return record

    def find(self, name: str, digest: str) -> MinedPhotograph | None:
        """Return the entry of an unchanged photograph, if all of its tiles exist."""
        entry = self.photographs.get(name)
        if entry is None or entry["digest"] != digest:
            return None
        exist = all((self.path.parent / "no_crack" / file).is_file() for file in entry["tiles"])
        return entry if exist else None

    def add(self, name: str, entry: MinedPhotograph) -> None:
        self.photographs[name] = entry
        self.write()

    def write(self) -> None:
        write_json(self.path, {k: v for k, v in asdict(self).items() if k != "path"})


def split_with_twins(mined: MinedTiles, folder: Path, config: TrainConfig) -> Split:
    """Return a split of the mined tiles and of cracked twins drawn onto them."""
    by_photo = len({item.photo for item in mined.found}) >= SPLIT_BY_PHOTO
    tiles = [item if by_photo else replace(item, photo=item.path.stem) for item in mined.found]
    twins = write_cracked_twins(tiles, folder / "crack", config.seed, max(MIN_TWINS, len(tiles)))
    return split([*tiles, *twins], config.held_out, config.seed)


def write_cracked_twins(
    tiles: Sequence[LabelledImage], folder: Path, seed: int, count: int
) -> list[LabelledImage]:
    """Write ``count`` twins of crack-free tiles, taken in turn, each with a crack drawn onto it."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(count):
        item = tiles[number % len(tiles)]
        path = folder / f"{item.path.stem}_twin{number // len(tiles)}.png"
        image, _ = cracked_twin(read_photograph(item.path), rng)
        write_png(path, image)
        found.append(LabelledImage(path, 1, item.photo, item.source))
    return found
