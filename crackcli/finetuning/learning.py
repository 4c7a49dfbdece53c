"""crackcli learn: fine-tunes a model on cracks that a person accepted or rejected in QGIS.

The patches (see `crackcli.finetuning.corrections`) are written into OUTPUT.learned/ beside the new
model, where a person can inspect them. OUTPUT.learned.csv has a row for each crack of the report,
with its P(crack) before and after.
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
from crackcli.datasets.left_out import LeftOut
from crackcli.datasets.pixel_labels import evenly_spaced
from crackcli.engines.torch import TorchEngine
from crackcli.errors import InputError, ModelError, OutputError
from crackcli.files import output_errors, refuse_existing, sha256, write_csv, write_json
from crackcli.finetuning.corrections import (
    ReviewedPhotograph,
    choose_held_out,
    choose_patches,
    crack_probabilities,
    write_patches,
)
from crackcli.finetuning.hard_negatives import KEEP, MINED_AT, TRAINED_AT, write_cracked_twins
from crackcli.finetuning.reviews import in_pixels, read_reviews
from crackcli.inference.tile_map import CRACKED_FROM, tile_probabilities
from crackcli.networks.checkpoint import Checkpoint
from crackcli.progress import Progress, ignore, part
from crackcli.registry import BY_IMAGE_LABELS, CLASSIFIER, NETWORK_METHODS, find_method
from crackcli.report.verdicts import ACCEPTED, REJECTED, UNREVIEWED
from crackcli.scenes.scene import Scene, finished_scenes
from crackcli.scenes.source import find_photograph, inspect_unchanged, read_run_record
from crackcli.shipped_models import MODELS, SHIPPED, choose, shipped, shipped_sha256
from crackcli.training.config import TrainConfig
from crackcli.training.loop import Split, TrainResult, train

log = logging.getLogger(__name__)

RECORD = "learned.json"  # marks a folder of patches as ours
EPOCHS = 40  # at most; on a CPU the minutes end the training earlier
RATE = 1e-4  # of a classifier; blending halves the change of the weights: see `TrainConfig.blend`
# A student is compared with its initial weights instead; half-way back, it would still mark more of
# the rejected cracks, and it did not mark photographs of other sources worse (docs/train.md).
STUDENT_BLEND = 0.0
EVALUATIONS = 1  # at the end: the held-out patches are too few to choose a checkpoint by
DRAWN = 0.25  # fraction of tiles replaced by twins
MAX_REPLAYED, MAX_REPLAYED_HELD_OUT = 400, 40  # photographs of --photographs
MAX_STAND_INS = 12  # patches of a kind of which none is held out; see `stand_ins`
COLUMNS = (
    "crack_id",
    "scene_id",
    "review",
    "held_out",
    "patches",
    "p_before",
    "p_after",
    "shares_its_tiles",  # with a crack that was not rejected, which may cause the P(crack)
    "threshold",
)


@dataclass(frozen=True)
class LearnTask:
    """The output folder of a scan, its reviewed report, and the new model to write."""

    out: Path
    reviewed: Path
    output: Path
    start_from: Path | None = None  # None: the model of the scan
    photographs: Path | None = None  # labelled ones of other surfaces, to train on too
    minutes: float = 5.0
    seed: int = 0
    device: str = "auto"
    overwrite: bool = False


@dataclass(frozen=True)
class ReviewOutcome:
    """P(crack) of one crack of the report, by the earlier and by the new model.

    It counts as detected from ``threshold`` on.
    """

    crack_id: str
    scene_id: str
    review: str
    held_out: bool
    patches: int
    p_before: float
    p_after: float
    shares_its_tiles: bool
    threshold: float = CRACKED_FROM


@dataclass(frozen=True)
class LearnResult:
    """The new model, and the change of P(crack) of each crack of the reviewed scenes."""

    output: Path
    table: Path
    changes: list[ReviewOutcome]
    training: TrainResult
    sources: list[Path]  # the photographs


def learn(task: LearnTask, progress: Progress = ignore) -> LearnResult:
    """Fine-tune the model of a scan on the reviewed cracks of its report."""
    refuse_existing(task.output, overwrite=task.overwrite)
    reviews = read_reviews(task.reviewed, task.out)
    scenes = reviewed_scenes(task.out, task.reviewed, reviews)
    model = task.start_from or scan_checkpoint(task.out, scenes)
    config = config_of(task, model)

    engine = TorchEngine(model, device=task.device)
    classified = part(progress, 0, MINED_AT)
    photographs, left_out = [], LeftOut()
    for number, scene in enumerate(scenes):

        def report(fraction: float, number: int = number, name: str = scene.name) -> None:
            classified((number + fraction) / len(scenes), f"classifying {name}")

        if 1.0 not in scene.record.zooms:
            log.warning(
                "%s was scanned at another --zoom; its patches have the full resolution", scene.name
            )
        source = Path(scene.record.source_file or scene.name)
        try:
            source = find_photograph(task.out, scene)
            info = inspect_unchanged(scene, source, "scan it again and review the new report")
            tiles = tile_probabilities(info, engine, report)
        except InputError as error:
            if len(scenes) == 1:
                raise
            left_out.add(source, error)
            continue
        cracks = in_pixels(scene, reviews[scene.name])
        photographs.append(ReviewedPhotograph(scene, info, tiles, cracks))
    left_out.tell(task.out, len(scenes))
    if not photographs:
        raise InputError(
            f"{task.out}: none of its reviewed photographs can be read; bring them back"
        )

    rng = np.random.default_rng(task.seed)
    held = choose_held_out([crack for each in photographs for crack in each.cracks], rng)
    data, counts = make_split(photographs, held, task, config.network, rng)
    trained = part(progress, MINED_AT, TRAINED_AT)
    result = train(config, lambda state: trained(state.fraction, state.summary), data)

    engine = TorchEngine(task.output, device=task.device)
    checked = part(progress, TRAINED_AT, 1)
    changes = []
    for number, each in enumerate(photographs, start=1):
        before = crack_probabilities(each, each.tiles)
        after = crack_probabilities(each, tile_probabilities(each.info, engine))
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
                threshold=each.tiles.cracked_from,
            )
            for crack in each.cracks
        ]
        checked(number / len(photographs), f"{each.scene.name} with the new model")
    table = task.output.with_suffix(".learned.csv")
    write_csv(table, COLUMNS, (asdict(change) for change in changes))
    return LearnResult(
        task.output, table, changes, result, [each.info.path for each in photographs]
    )


def config_of(task: LearnTask, model: Path) -> TrainConfig:
    """Return the options of the training of a model: those for its network.

    Raise a `ModelError` if the network does not learn from reviews.
    """
    network = Checkpoint.read(model).network
    if network not in BY_IMAGE_LABELS:
        raise ModelError(
            f"{model}: --network {network} does not learn from reviews; give the checkpoint of a "
            f"{' or '.join(BY_IMAGE_LABELS)} with --from"
        )
    config = TrainConfig(
        photographs=None,
        output=task.output,
        network=network,
        start_from=model,
        epochs=EPOCHS,
        minutes=task.minutes,
        evaluations=EVALUATIONS,
        calibrate=False,
        seed=task.seed,
        device=task.device,
        overwrite=task.overwrite,
    )
    if config.network != CLASSIFIER:
        return replace(config, blend=STUDENT_BLEND)
    return replace(config, learning_rate=RATE, drawn=DRAWN, keep=KEEP)


def reviewed_scenes(
    out: Path, reviewed: Path, reviews: dict[str, list[dict[str, Any]]]
) -> list[Scene]:
    """Return the scenes of ``out`` with an accepted or rejected crack."""
    scenes = {scene.name: scene for scene in finished_scenes(out)}
    wanted = [
        name for name, rows in reviews.items() if any(row["review"] != UNREVIEWED for row in rows)
    ]
    for name in wanted:
        if name not in scenes:
            raise InputError(
                f"{reviewed}: has cracks of a scene '{name}' that is not in {out}; give the output "
                "folder of this report"
            )
    return [scenes[name] for name in wanted]


def scan_checkpoint(out: Path, scenes: Sequence[Scene]) -> Path:
    """Return the checkpoint of the model that scenes were scanned with.

    Raise a `ModelError` if it is missing, has changed, or does not learn from reviews.
    """
    engine = scenes[0].record.engine
    method = engine.get("method", NETWORK_METHODS[CLASSIFIER])  # older scenes lack it
    if find_method(method).network not in BY_IMAGE_LABELS:
        raise ModelError(
            f"{out}: was scanned with --method {method}, which does not learn from reviews; give "
            f"the checkpoint of a {' or '.join(BY_IMAGE_LABELS)} with --from"
        )
    chosen = read_run_record(out)["options"]["model"]
    named = chosen is None or chosen in MODELS  # else a file, maybe without a suffix
    model = choose(chosen if named else Path(chosen), method).model
    if not isinstance(model, Path):
        name = model or SHIPPED
        if engine.get("model_sha256") not in {None, *shipped_sha256(name)}:
            raise ModelError(
                f"{out}: was scanned with another version of the shipped model {name}; scan again "
                "and review the new report, or give the checkpoint with --from"
            )
        return shipped(".safetensors", name)
    if not model.is_file():
        raise ModelError(
            f"{out}: its model {engine['model']} does not exist any more; give its checkpoint with "
            "--from"
        )
    if sha256(model) != engine["model_sha256"]:
        raise ModelError(
            f"{out}: its model {engine['model']} has changed since the scan; give its checkpoint "
            "with --from"
        )
    return exported_checkpoint(model) if model.suffix.lower() == ".onnx" else model


def exported_checkpoint(graph: Path) -> Path:
    """Return the checkpoint that an ONNX graph was exported from, if it lies in the same folder."""
    from crackcli.engines.onnx import open_session, read_facts

    session, _ = open_session(graph, "cpu")
    wanted = read_facts(session, graph)["checkpoint_sha256"]
    for path in sorted(graph.absolute().parent.glob("*.safetensors")):
        if sha256(path) == wanted:
            return path
    raise ModelError(
        f"{graph}: the checkpoint it was exported from is not in its folder; give it with --from"
    )


def make_split(
    photographs: Sequence[ReviewedPhotograph],
    held: set[str],
    task: LearnTask,
    network: str,
    rng: np.random.Generator,
) -> tuple[Split, dict[str, int]]:
    """Write all patches; return training and held-out ones, and their number for each crack.

    A side without a crack gets cracked twins. The photographs of ``task.photographs`` are added.
    """
    folder = task.output.with_suffix(".learned")
    if folder.exists() and not (folder / RECORD).is_file():
        raise OutputError(
            f"{folder}: was not written by crackcli learn; remove it, or choose another output"
        )
    with output_errors(folder):
        shutil.rmtree(folder, ignore_errors=True)
    write_json(folder / RECORD, {"reviewed": str(task.reviewed), "held_out": sorted(held)})
    training: list[LabelledImage] = []
    held_out: list[LabelledImage] = []
    counts: dict[str, int] = {}
    for each in photographs:
        patches = choose_patches(each, held, rng)
        for patch in patches:
            counts[patch.crack] = counts.get(patch.crack, 0) + 1
        for patch, item in zip(patches, write_patches(patches, each, folder), strict=True):
            (held_out if patch.held_out else training).append(item)
    crowded = [
        crack.id
        for each in photographs
        for crack in each.cracks
        if crack.verdict == REJECTED and crack.id not in counts
    ]
    if crowded:
        log.info("not used for training, too close to other cracks: %s", ", ".join(crowded))
    if network != CLASSIFIER:
        held_out += stand_ins(training, held_out)
    for side in (training, held_out):
        negatives = [item for item in side if item.label == 0]
        if negatives and not any(item.label == 1 for item in side):
            twins = write_cracked_twins(negatives, folder / "crack", task.seed, len(negatives))
            side += [replace(item, source="drawn") for item in twins]
    if task.photographs is not None:
        for side, others in zip(
            (training, held_out), replayed(task.photographs, task.seed), strict=True
        ):
            side += others
    if not any(item.label == 0 for item in training) or not held_out:
        raise InputError(
            f"{task.reviewed}: its photographs have no tiles without a crack to train on; give "
            "others with --photographs"
        )
    return (training, held_out), counts


def stand_ins(
    training: Sequence[LabelledImage], held_out: Sequence[LabelledImage]
) -> list[LabelledImage]:
    """Return training patches of the kinds of reviewed cracks of which none is held out.

    By these and those held out, the new weights of a student are compared with the initial ones. A
    comparison without reviewed cracks would prefer the initial ones.
    """
    known = {item.source for item in held_out}
    chosen = []
    for verdict in sorted({ACCEPTED, REJECTED} - known):
        own = [item for item in training if item.source == verdict]
        chosen += evenly_spaced(own, MAX_STAND_INS)
    return chosen


def replayed(photographs: Path, seed: int) -> Split:
    """Return a random choice of labelled photographs, so that earlier knowledge is not lost."""
    training, held_out = split(list_photographs(photographs), 0.1, seed)
    chance = Random(seed)
    return (
        chance.sample(training, min(MAX_REPLAYED, len(training))),
        chance.sample(held_out, min(MAX_REPLAYED_HELD_OUT, len(held_out))),
    )


@dataclass(frozen=True)
class Outcome:
    """How many cracks ``of`` a kind a model treats as wished, before and after learning.

    ``wish`` is "accepted, found", "rejected, left out" or "unreviewed, found".
    """

    wish: str
    before: int
    after: int
    of: int


def summarise(changes: Sequence[ReviewOutcome]) -> list[tuple[Outcome, Outcome]]:
    """Count the accepted cracks that are found, the rejected ones that are not, and the unreviewed
    ones that are; of all cracks, and of those held out."""
    found = []
    for wish, review, wanted in (
        ("accepted, found", ACCEPTED, True),
        ("rejected, left out", REJECTED, False),
        ("unreviewed, found", UNREVIEWED, True),
    ):
        own = [change for change in changes if change.review == review]
        out = [change for change in own if change.held_out]
        whole, held = (
            Outcome(
                wish,
                sum((each.p_before >= each.threshold) == wanted for each in cracks),
                sum((each.p_after >= each.threshold) == wanted for each in cracks),
                len(cracks),
            )
            for cracks in (own, out)
        )
        found.append((whole, held))
    return found
