"""Hard negatives: what a model takes for cracks on photographs that have none.

Of every photograph the tiles with a false alarm are taken, surest first, and as many ordinary ones
of the same photograph, so that what is trained on is not only the odd.  They are written beside
the model to be trained, where a person can look at them and a run that was stopped finds them:

OUTPUT.mined/no_crack/   the tiles
OUTPUT.mined/crack/      cracks drawn onto them, where there are no photographs of cracks
OUTPUT.mined/mined.json  what they were made from, and P(crack) of the photographs
"""

import json
import logging
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from crackcli.datasets.folders import LabelledImage, list_photographs, split, tile_name
from crackcli.engines.engine import Engine
from crackcli.engines.torch import TorchEngine
from crackcli.errors import CrackError, InputError, OutputError, UsageError
from crackcli.files import output_errors, refuse_existing, write_json
from crackcli.inference.tile_map import ALARM, TileProbabilities, tile_probabilities
from crackcli.progress import Progress, part
from crackcli.rasters.crops import read_windows, write_png
from crackcli.rasters.grid import Window
from crackcli.rasters.reader import RasterInfo, inspect
from crackcli.scan.inputs import find_rasters
from crackcli.synthesis.twins import cracked_twin
from crackcli.training.loop import (
    Sides,
    TrainConfig,
    TrainResult,
    train,
)
from crackcli.training.patches import read_photograph

log = logging.getLogger(__name__)

SOURCE = "mined"
NOTE = "mined.json"
MOST = 40  # tiles with a false alarm of one photograph
LEAST_ORDINARY = 12  # tiles without, of a photograph that has some with
SPLIT_BY_PHOTO = 5  # photographs; fewer are split by tile, and no two tiles overlap
TWINS = 48  # cracked twins at least, where there are no photographs of cracks
GENTLE_RATE = 4e-5  # where there are no other photographs to keep what was learnt before
KEEP = 1.0
LOOKED, TRAINED = 0.2, 0.8  # of the work, for the progress


@dataclass(frozen=True)
class NegativePhotograph:
    """A photograph without cracks: how many tile positions it has, and false alarms among them
    before and after the training; ``mined`` is how many tiles were taken."""

    name: str
    path: Path
    positions: int
    before: int
    mined: int
    after: int | None = None


@dataclass(frozen=True)
class Mined:
    """Tiles without cracks, and the photographs that were looked through."""

    found: list[LabelledImage]
    walls: list[NegativePhotograph]


def train_mined(
    config: TrainConfig,
    folders: Sequence[Path],
    say: Progress = lambda share, words: None,
) -> tuple[TrainResult, list[NegativePhotograph]]:
    """Train on what ``config.start_from`` gets wrong on the photographs of ``folders``, together
    with ``config.photographs`` if there are any."""
    if config.start_from is None:
        raise UsageError("--mine needs --from: a model, such as shipped, that makes the mistakes")
    refuse_existing(config.output, overwrite=config.overwrite)
    engine = TorchEngine(config.start_from, device=config.device)
    folder = config.output.with_suffix(".mined")
    mined = mine(folders, engine, folder, config.seed, part(say, 0, LOOKED))
    if not mined.found and config.photographs is None:
        raise InputError(
            f"{config.start_from.name} sees no crack on these photographs: there is nothing to "
            "learn from them; it can be used as it is"
        )
    if not mined.found:
        log.info("no false alarm on the photographs of --mine: training goes on without them")
    if config.photographs is None:
        sides = on_walls_only(mined, folder, config)
        config = gentle(config)
    else:
        found = list_photographs(config.photographs, config.table)
        sides = split([*found, *mined.found], config.held_out, config.seed)
    trained = part(say, LOOKED, TRAINED)
    result = train(config, lambda at: trained(at.fraction, at.words), sides)

    engine = TorchEngine(result.output, device=config.device)
    again = part(say, TRAINED, 1)
    walls = []
    for number, wall in enumerate(mined.walls):
        tiles = tile_probabilities(inspect(wall.path), engine)
        walls.append(replace(wall, after=tiles.alarms))
        again((number + 1) / len(mined.walls), f"{wall.name} again")
    return result, walls


def gentle(config: TrainConfig) -> TrainConfig:
    """Small steps, and the earlier model holds the new one back: its wall is all that this one is
    shown."""
    return replace(
        config,
        learning_rate=config.learning_rate or GENTLE_RATE,
        keep=config.keep or KEEP,
        calibrate=False,
    )


def mine(
    folders: Sequence[Path],
    engine: Engine,
    folder: Path,
    seed: int,
    say: Progress = lambda share, words: None,
) -> Mined:
    """The tiles of all photographs of ``folders`` that ``engine`` gets wrong, and ordinary ones,
    in ``folder``; what an earlier run of the same model has put there is kept."""
    note = Note.open(folder, {"model_sha256": engine.facts.model_sha256, "seed": seed})
    rasters, failures = find_rasters(folders)
    for failure in failures:
        log.warning("skipped: %s", failure.message)
    found: list[LabelledImage] = []
    walls: list[NegativePhotograph] = []
    for number, (name, path) in enumerate(rasters.items()):

        def report(share: float, number: int = number, name: str = name) -> None:
            say((number + share) / len(rasters), f"looking at {name}")

        try:
            info = inspect(path)
            known = note.of(name, info.digest) or look(info, name, engine, folder, seed, report)
        except OutputError:
            raise
        except CrackError as error:
            log.warning("skipped: %s", error)
            continue
        note.add(name, known)
        files = [folder / "no_crack" / file for file in known["tiles"]]
        found += [LabelledImage(file, 0, name, SOURCE) for file in files]
        walls.append(
            NegativePhotograph(name, path, known["positions"], known["alarms"], len(files))
        )
    if not walls:
        raise InputError(f"none of {', '.join(map(str, folders))} holds a readable photograph")
    alarms, positions = sum(w.before for w in walls), sum(w.positions for w in walls)
    log.info(
        "%d photographs without cracks: a crack is seen at %d of %d tile positions, %d tiles taken",
        len(walls),
        alarms,
        positions,
        len(found),
    )
    return Mined(found, walls)


def look(
    info: RasterInfo,
    name: str,
    engine: Engine,
    folder: Path,
    seed: int,
    report: Callable[[float], None],
) -> dict[str, Any]:
    """Look through one photograph and write its tiles; what is to be noted of it."""
    tiles = tile_probabilities(info, engine, report)
    chosen = choose(tiles, seed)
    for window, image in read_windows(info, chosen):
        write_png(folder / "no_crack" / tile_name(name, window), image)
    return {
        "digest": info.digest,
        "positions": tiles.positions,
        "alarms": tiles.alarms,
        "tiles": sorted(tile_name(name, window) for window in chosen),
    }


def choose(tiles: TileProbabilities, seed: int) -> list[Window]:
    """The tiles with a false alarm, surest first, and as many without; none overlaps another."""
    flat = tiles.probability.reshape(-1)
    surest = np.argsort(-flat, kind="stable")
    wrong = tiles.apart(surest[flat[surest] >= ALARM], MOST)
    rest = np.random.default_rng(seed).permutation(np.flatnonzero(flat < ALARM))
    most = max(len(wrong), LEAST_ORDINARY) if wrong else 0
    ordinary = tiles.apart(rest, most, taken=wrong)
    return [tiles.window(place) for place in (*wrong, *ordinary)]


@dataclass
class Note:
    """What lies in a folder of mined tiles, and what it was made from."""

    path: Path
    made_from: dict[str, Any]
    photographs: dict[str, dict[str, Any]]

    @classmethod
    def open(cls, folder: Path, made_from: dict[str, Any]) -> "Note":
        """The note of an earlier run of the same; that of another is thrown away with its tiles."""
        path = folder / NOTE
        if folder.exists() and not path.is_file():
            raise OutputError(f"{folder} is in the way; remove it or choose another output")
        try:
            earlier = cls(path, **json.loads(path.read_text(encoding="utf-8")))
            if earlier.made_from == made_from:
                return earlier
        except (OSError, ValueError, TypeError):
            pass  # there is none, or it is damaged
        with output_errors(folder):
            shutil.rmtree(folder, ignore_errors=True)
        note = cls(path, made_from, {})
        note.write()
        return note

    def of(self, name: str, digest: str) -> dict[str, Any] | None:
        """What is known of a photograph, if its tiles are still there."""
        known = self.photographs.get(name)
        if known is None or known["digest"] != digest:
            return None
        there = all((self.path.parent / "no_crack" / file).is_file() for file in known["tiles"])
        return known if there else None

    def add(self, name: str, known: dict[str, Any]) -> None:
        self.photographs[name] = known
        self.write()

    def write(self) -> None:
        write_json(self.path, {k: v for k, v in asdict(self).items() if k != "path"})


def on_walls_only(mined: Mined, folder: Path, config: TrainConfig) -> Sides:
    """Both sides of the mined tiles and of cracked twins of them."""
    by_photo = len({item.photo for item in mined.found}) >= SPLIT_BY_PHOTO
    sound = [item if by_photo else replace(item, photo=item.path.stem) for item in mined.found]
    twins = cracked(sound, folder / "crack", config.seed, max(TWINS, len(sound)))
    found = [*sound, *twins]
    return split(found, config.held_out, config.seed)


def cracked(
    sound: Sequence[LabelledImage], folder: Path, seed: int, count: int
) -> list[LabelledImage]:
    """``count`` twins of crack-free tiles, one after the other, with a crack drawn onto each."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(count):
        item = sound[number % len(sound)]
        path = folder / f"{item.path.stem}_twin{number // len(sound)}.png"
        image, _ = cracked_twin(read_photograph(item.path), rng)
        write_png(path, image)
        found.append(LabelledImage(path, 1, item.photo, item.source))
    return found
