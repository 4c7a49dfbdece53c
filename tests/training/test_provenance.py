"""Licence and sources of a checkpoint: of a training, of a warm start, and written afterwards."""

import runpy
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from tiny import SMALL_AUTOENCODER, write_photographs

from crackcli.datasets.folders import LabelledImage, list_photographs
from crackcli.licences import Licence, Source
from crackcli.networks.autoencoder import build
from crackcli.networks.checkpoint import Checkpoint
from crackcli.training import TrainConfig, train
from crackcli.training.provenance import count_sources, find_provenance

DESCRIBE = Path(__file__).parents[2] / "models" / "describe.py"
OPEN = Licence("CC BY 4.0", "any use, with attribution", "by Ann")
RESEARCH = Licence("non-commercial research")


@pytest.fixture
def photographs(tmp_path):
    """Return a folder of photographs of two licences, one of them of a small source."""
    folder = write_photographs(tmp_path / "photos", 12)
    rows = ["path,photo,source,licence,origin"]
    for label in ("crack", "no_crack"):
        for path in sorted((folder / label).iterdir()):
            small = path.stem.endswith("_1")
            rows.append(
                f"{label}/{path.name},{path.stem},"
                + ("kodak,free,Kodak" if small else "walls,CC BY 4.0,Ann")
            )
    (folder / "photographs.csv").write_text("\n".join(rows))
    return folder


def checkpoint(path, **changes):
    """Write a checkpoint and return its path."""
    torch.manual_seed(1)
    state = build(**SMALL_AUTOENCODER).state_dict()
    Checkpoint("autoencoder", SMALL_AUTOENCODER, (), 64, state, **changes).save(path)
    return path


def test_sources_are_counted_by_the_table_even_where_small_ones_are_merged(photographs):
    found = list_photographs(photographs)

    assert {item.source for item in found} == {"walls", "other"}
    assert count_sources(found) == [
        Source("walls", 22, "CC BY 4.0", "Ann"),
        Source("kodak", 2, "free", "Kodak"),
    ]


def test_a_photograph_without_a_table_counts_for_its_source():
    found = [LabelledImage(Path(f"{number}.png"), 0, "", "mined") for number in range(3)]

    assert count_sources(found) == [Source("mined", 3)]


@pytest.mark.parametrize(("given", "kept"), [(Licence(), RESEARCH), (OPEN, OPEN)])
def test_a_warm_start_passes_on_sources_and_licence(tmp_path, given, kept):
    earlier = (Source("cfd", 9, "non-commercial research"),)
    path = checkpoint(tmp_path / "a.safetensors", licence=RESEARCH, sources=earlier)
    found = [LabelledImage(Path("a.png"), 0, "", "mine")]

    licence, sources = find_provenance(given, found, path)

    assert licence == kept
    weights = Source("weights of a.safetensors", 0, "non-commercial research")
    assert sources == (weights, *earlier, Source("mine", 1))


def test_a_training_stores_its_licence_and_all_sources(photographs, tmp_path):
    teacher = Source("labels by a.onnx", licence="MIT")
    config = TrainConfig(
        photographs=photographs,
        output=tmp_path / "a.safetensors",
        network="autoencoder",
        epochs=0.1,
        batch_size=4,
        arguments=SMALL_AUTOENCODER,
        device="cpu",
        evaluations=1,
        licence=OPEN,
        taught_by=(teacher,),
    )

    stored = Checkpoint.read(train(config).output)

    assert stored.licence == OPEN
    assert stored.sources == (
        teacher,
        Source("walls", 11, "CC BY 4.0", "Ann"),  # an autoencoder learns from no_crack only
        Source("kodak", 1, "free", "Kodak"),
    )


def test_a_checkpoint_that_states_neither_is_read(tmp_path):
    stored = Checkpoint.read(checkpoint(tmp_path / "a.safetensors"))

    assert (stored.licence, stored.sources) == (Licence(), ())


def test_a_description_written_afterwards_keeps_the_weights(photographs, tmp_path):
    start, imagenet = Source("weights of b.safetensors"), Source("ImageNet", 0, "Apache 2.0")
    path = checkpoint(tmp_path / "a.safetensors", sources=(start,))
    before = Checkpoint.read(path)

    runpy.run_path(str(DESCRIBE))["describe"](path, photographs, None, OPEN, [imagenet])

    after = Checkpoint.read(path)
    assert after.licence == OPEN
    assert after.sources[:2] == (start, imagenet)
    assert [source.name for source in after.sources[2:]] == ["walls", "kodak"]
    assert before.state.keys() == after.state.keys()
    for name, value in before.state.items():
        assert torch.equal(after.state[name], value)
