"""Learning from corrections: cracks accepted and rejected in QGIS, a better model of that wall.

The patches (see `crackcli.finetuning.corrections`) are written beside the model to be made, into
OUTPUT.learned/, where a person can look at them.  What changed on the wall is told for each crack
of the report: P(crack) of its surest tile before and after.
"""

import logging
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from crackcli.datasets.folders import LabelledImage, list_photographs, split
from crackcli.engines.torch import TorchEngine
from crackcli.errors import InputError, ModelError, OutputError
from crackcli.files import refuse_existing, output_errors, sha256, write_json
from crackcli.finetuning.corrections import (
    ReviewedPhotograph,
    held_out_of,
    is_seen,
    patches_of,
    surest,
    write,
)
from crackcli.finetuning.hard_negatives import KEEP, LOOKED, TRAINED, cracked
from crackcli.finetuning.reviews import ACCEPTED, REJECTED, UNREVIEWED, placed, read_reviews
from crackcli.inference.tile_map import tile_probabilities
from crackcli.progress import Progress, part
from crackcli.registry import DEFAULT_METHOD, find_method
from crackcli.report.formats.csv import write_rows
from crackcli.scenes.scene import Scene, finished_scenes
from crackcli.scenes.source import photographs_of, run_record, unchanged
from crackcli.shipped_models import shipped
from crackcli.training.loop import Sides, TrainConfig, TrainResult, train

log = logging.getLogger(__name__)

NOTE = "learned.json"  # tells a folder of patches from one of someone else's
EPOCHS = 40  # at most; on a CPU the minutes end it
RATE = 1e-4  # half of what it teaches is given back: see `TrainConfig.blend`
EVALUATIONS = 1  # at the end: the held-out patches are too few to choose a checkpoint by
DRAWN = 0.25  # share of twins
REPLAYED, JUDGED = 400, 40  # photographs of others: for training, and held out
COLUMNS = (
    "crack_id",
    "scene_id",
    "review",
    "held_out",
    "patches",
    "p_before",
    "p_after",
    "shares_its_tiles",  # with a crack that was not rejected: P(crack) is not of it alone
)


@dataclass(frozen=True)
class LearnTask:
    """The output folder of a scan, its reviewed report, and the model to make from them."""

    out: Path
    reviewed: Path
    output: Path
    start_from: Path | None = None  # None: the model of the scan
    photographs: Path | None = None  # of others, to be replayed
    minutes: float = 5.0
    seed: int = 0
    device: str = "auto"
    overwrite: bool = False


@dataclass(frozen=True)
class ReviewOutcome:
    """One crack of the report: how sure the model was of it, and is now."""

    crack_id: str
    scene_id: str
    review: str
    held_out: bool
    patches: int
    p_before: float
    p_after: float
    shares_its_tiles: bool


@dataclass(frozen=True)
class Learned:
    """The new model, and what changed on the walls that were reviewed."""

    output: Path
    table: Path
    changes: list[ReviewOutcome]
    training: TrainResult
    sources: list[Path]  # the photographs


def learn(
    task: LearnTask,
    say: Progress = lambda share, words: None,
) -> Learned:
    """Fine-tune the model of a scan on the corrections of its report."""
    config = TrainConfig(
        photographs=None,
        output=task.output,
        epochs=EPOCHS,
        minutes=task.minutes,
        learning_rate=RATE,
        drawn=DRAWN,
        evaluations=EVALUATIONS,
        keep=KEEP,
        calibrate=False,
        seed=task.seed,
        device=task.device,
        overwrite=task.overwrite,
    )
    refuse_existing(config.output, overwrite=config.overwrite)
    reviews = read_reviews(task.reviewed)
    scenes = reviewed_scenes(task.out, task.reviewed, reviews)
    sources = photographs_of(task.out, scenes)
    model = task.start_from or model_of(task.out, scenes)
    config = replace(config, start_from=model)

    engine = TorchEngine(model, device=task.device)
    looked, trained, again = part(say, 0, LOOKED), part(say, LOOKED, TRAINED), part(say, TRAINED, 1)
    walls = []
    for number, (scene, source) in enumerate(zip(scenes, sources, strict=True)):

        def report(share: float, number: int = number, name: str = scene.name) -> None:
            looked((number + share) / len(scenes), f"looking at {name}")

        if 1.0 not in scene.record.zooms:
            log.warning("%s was scanned at another zoom; tiles are learnt as they are", scene.name)
        info = unchanged(scene, source, "scan it again and review the new report")
        tiles = tile_probabilities(info, engine, report)
        walls.append(ReviewedPhotograph(scene, info, tiles, placed(scene, reviews[scene.name])))

    rng = np.random.default_rng(task.seed)
    held = held_out_of([crack for wall in walls for crack in wall.cracks], rng)
    sides, counts = gather(walls, held, task, rng)
    result = train(config, lambda at: trained(at.fraction, at.words), sides)

    engine = TorchEngine(task.output, device=task.device)
    changes = []
    for number, wall in enumerate(walls):
        before, after = (
            surest(wall, wall.tiles),
            surest(wall, tile_probabilities(wall.info, engine)),
        )
        changes += [
            ReviewOutcome(
                crack_id=crack.id,
                scene_id=crack.scene,
                review=crack.verdict,
                held_out=crack.id in held,
                patches=counts.get(crack.id, 0),
                p_before=round(before[crack.id][0], 4),
                p_after=round(after[crack.id][0], 4),
                shares_its_tiles=before[crack.id][1],
            )
            for crack in wall.cracks
        ]
        again((number + 1) / len(walls), f"{wall.scene.name} again")
    table = task.output.with_suffix(".learned.csv")
    write_rows(table, COLUMNS, (asdict(change) for change in changes))
    return Learned(task.output, table, changes, result, sources)


def reviewed_scenes(
    out: Path, reviewed: Path, reviews: dict[str, list[dict[str, Any]]]
) -> list[Scene]:
    """The scenes in which something was reviewed."""
    scenes = {scene.name: scene for scene in finished_scenes(out)}
    wanted = [
        name for name, rows in reviews.items() if any(row["review"] != UNREVIEWED for row in rows)
    ]
    for name in wanted:
        if name not in scenes:
            raise InputError(
                f"{reviewed} speaks of a scene '{name}' that {out} does not hold; give the output "
                "folder that the report was made from"
            )
    return [scenes[name] for name in wanted]


def model_of(out: Path, scenes: Sequence[Scene]) -> Path:
    """The checkpoint that scenes were scanned with."""
    engine = scenes[0].record.engine
    wanted = engine["model_sha256"]
    chosen = run_record(out)["options"]["model"]
    say = f"{out} was scanned with {engine['model']}"
    if find_method(engine.get("method", DEFAULT_METHOD)).direct:
        raise ModelError(
            f"{out} was scanned by method {engine['method']}, which explains no classifier; give "
            "one to learn on with --from"
        )
    if chosen is None:
        return shipped(".safetensors")
    model = Path(chosen)
    if not model.is_file():
        raise ModelError(f"{say}, which is not there; give its checkpoint with --from")
    if sha256(model) != wanted:
        raise ModelError(f"{say}, which is another file now; give its checkpoint with --from")
    if model.suffix.lower() != ".onnx":
        return model
    return weights_of(model)


def weights_of(graph: Path) -> Path:
    """The checkpoint beside an exported graph that it was made from."""
    from crackcli.engines.onnx import open_session, read_facts

    session, _ = open_session(graph, "cpu")
    wanted = read_facts(session, graph)["checkpoint_sha256"]
    for path in sorted(graph.absolute().parent.glob("*.safetensors")):
        if sha256(path) == wanted:
            return path
    raise ModelError(
        f"the checkpoint that {graph} was exported from is not beside it; give it with --from"
    )


def gather(
    walls: Sequence[ReviewedPhotograph], held: set[str], task: LearnTask, rng: np.random.Generator
) -> tuple[Sides, dict[str, int]]:
    """Both sides of all patches, and how many of each crack are trained on or judged by."""
    folder = task.output.with_suffix(".learned")
    if folder.exists() and not (folder / NOTE).is_file():
        raise OutputError(f"{folder} is in the way; remove it or choose another output")
    with output_errors(folder):
        shutil.rmtree(folder, ignore_errors=True)
    write_json(folder / NOTE, {"reviewed": str(task.reviewed), "held_out": sorted(held)})
    training: list[LabelledImage] = []
    held_out: list[LabelledImage] = []
    counts: dict[str, int] = {}
    for wall in walls:
        patches = patches_of(wall, held, rng)
        for patch in patches:
            counts[patch.crack] = counts.get(patch.crack, 0) + 1
        for patch, item in zip(patches, write(patches, wall, folder), strict=True):
            (held_out if patch.held_out else training).append(item)
    crowded = [
        crack.id
        for wall in walls
        for crack in wall.cracks
        if crack.verdict == REJECTED and crack.id not in counts
    ]
    if crowded:
        log.info("too near to other cracks to learn from them alone: %s", ", ".join(crowded))
    for side in (training, held_out):
        sound = [item for item in side if item.label == 0]
        if sound and not any(item.label == 1 for item in side):
            drawn = cracked(sound, folder / "crack", task.seed, len(sound))
            side += [replace(item, source="drawn") for item in drawn]
    if task.photographs is not None:
        for side, others in zip((training, held_out), replayed(task), strict=True):
            side += others
    if not any(item.label == 0 for item in training) or not held_out:
        raise InputError(
            f"the photographs of {task.reviewed} have no tiles without a crack to learn from; give "
            "others with --photographs"
        )
    return (training, held_out), counts


def replayed(task: LearnTask) -> Sides:
    """Some photographs of others, so that what was learnt of them is not lost."""
    assert task.photographs is not None
    training, held_out = split(list_photographs(task.photographs), 0.1, task.seed)
    chance = Random(task.seed)
    return (
        chance.sample(training, min(REPLAYED, len(training))),
        chance.sample(held_out, min(JUDGED, len(held_out))),
    )


def summarise(changes: Sequence[ReviewOutcome]) -> list[tuple[str, int, int, int, int]]:
    """What came true: accepted cracks still seen, rejected ones passed now, unreviewed ones lost.

    Each with how many of how many, and the same of those held out.
    """
    lines = (
        ("accepted, still seen", ACCEPTED, lambda c: is_seen(c.p_after)),
        ("rejected, passed now", REJECTED, lambda c: not is_seen(c.p_after)),
        ("unreviewed, lost", UNREVIEWED, lambda c: is_seen(c.p_before) and not is_seen(c.p_after)),
    )
    found = []
    for words, review, is_so in lines:
        own = [change for change in changes if change.review == review]
        out = [change for change in own if change.held_out]
        found.append((words, sum(map(is_so, own)), len(own), sum(map(is_so, out)), len(out)))
    return found
