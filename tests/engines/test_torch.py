"""The torch engine on a device with memory of its own: window sizes, errors, copies."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from dataclasses import replace

from explaining import explained, write
from fakes import wall

from crackcli.engines import torch as engine_module
from crackcli.engines.device import Device
from crackcli.engines.torch import MAX_CELLS, TorchEngine, largest_windows
from crackcli.errors import OutOfMemory
from crackcli.inference.classifier_scorer import BACK_CELLS, ClassifierScorer
from crackcli.inference.tile_classifier import FEATURE_CELLS
from crackcli.shipped_models import shipped

MODEL = shipped(".safetensors")
GB = 1024**3
on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


@pytest.fixture(scope="module")
def engine():
    return TorchEngine(MODEL, device="cpu")


def with_free(monkeypatch, free):
    monkeypatch.setattr(Device, "free_bytes", lambda self: free)


def test_windows_grow_with_the_memory_of_a_device(engine, monkeypatch):
    sizes = []
    for free in (1 * GB, 6 * GB, 139 * GB):
        with_free(monkeypatch, free)
        sizes.append(largest_windows(engine.device, engine.attribution, fused=True))

    for stage in ("features", "back"):
        small, middle, large = (each[stage] for each in sizes)
        assert 0 < small < middle < large == MAX_CELLS
    assert sizes[1]["back"] < sizes[1]["features"]


def test_no_window_has_more_numbers_than_a_kernel_can_index():
    cells_px, channels = 32**2, 64  # of the first layer, which has the largest arrays
    assert MAX_CELLS * cells_px * channels < 2**31


def test_a_scorer_uses_the_window_sizes_of_its_engine(engine):
    assert engine.window_cells == {}  # a CPU uses the defaults
    usual = ClassifierScorer(engine, 0.5)
    assert usual.classifier.runner.max_cells == FEATURE_CELLS
    assert usual.runner.max_cells == BACK_CELLS

    class Roomy:
        facts, window_cells = engine.facts, {"back": 9000}

    roomy = ClassifierScorer(Roomy(), 0.5)
    assert roomy.classifier.runner.max_cells == FEATURE_CELLS
    assert roomy.runner.max_cells == 9000


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_intermediate_results_are_freed_before_out_of_memory_is_raised(engine, monkeypatch, error):
    held, order = [], []

    class Held:
        def __del__(self):
            order.append("freed")

    def full(images):
        half_done = Held()
        held.append(id(half_done))
        raise error

    monkeypatch.setattr(engine.attribution, "window_features", full)
    monkeypatch.setattr(Device, "release_cache", lambda self: order.append("released"))

    message = r"vgg11_128\.safetensors: cpu has not enough free memory"
    with pytest.raises(OutOfMemory, match=message):
        engine.features(np.zeros((1, 150, 150, 3), np.uint8))

    assert held
    assert order == ["freed", "released"]


def test_other_errors_are_not_out_of_memory(engine, monkeypatch):
    def broken(images):
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(engine.attribution, "window_features", broken)

    with pytest.raises(RuntimeError, match="illegal memory access"):
        engine.features(np.zeros((1, 150, 150, 3), np.uint8))


def test_without_a_tile_above_the_gate_the_way_back_is_skipped(engine, monkeypatch):
    cells = np.random.default_rng(0).random((1, 512, 9, 10), np.float32)
    probability, value = engine.head(cells, 0.0)
    assert value.any()
    monkeypatch.setattr(engine.attribution, "value_of", None)

    same, nothing = engine.head(cells, 1.1)

    np.testing.assert_array_equal(same, probability)
    assert nothing.shape == value.shape
    assert not nothing.any()


def test_images_are_copied_as_uint8(engine, monkeypatch):
    sent = []
    plain = Device.send
    monkeypatch.setattr(Device, "send", lambda self, a: (sent.append(a.dtype), plain(self, a))[1])

    engine.features(np.zeros((1, 150, 150, 3), np.uint8))

    assert sent == [np.uint8]


def test_fused_lrp_is_for_gpus_in_bfloat16(engine):
    assert TorchEngine(MODEL, device="cpu", precision="bfloat16").fused is None
    assert engine_module.find_fused(engine.attribution, replace(engine.device, bf16=False)) is None


def test_kernels_that_do_not_compile_are_replaced_by_functions_of_torch(
    engine, monkeypatch, caplog
):
    """As on a GPU without a compiler; the device here only claims to be one."""
    monkeypatch.setattr(Device, "is_gpu", True)
    monkeypatch.setattr(Device, "release_cache", lambda self: None)
    monkeypatch.setattr(engine_module, "differences", lambda *given: 1 / 0)

    fused = engine_module.find_fused(engine.attribution, replace(engine.device, bf16=True))

    assert type(fused.steps).__name__ == "Torch"
    assert "GPU kernels not used, slower (" in caplog.text


@on_gpu
def test_a_gpu_marks_in_bfloat16_what_the_cpu_marks_in_float32(tmp_path):
    path = write(tmp_path / "wall.tif", wall(600, 900, cracks=3))
    maps = {}
    for device, precision in (("cpu", "float32"), ("cuda", "bfloat16")):
        engine = TorchEngine(MODEL, device=device, precision=precision)
        maps[device], tiles, _ = explained(path, engine, 1024, 0.5)
        assert (tiles >= 0.5).any()
    marked = [each > each.max() / 20 for each in maps.values()]

    assert (marked[0] & marked[1]).sum() >= 0.98 * (marked[0] | marked[1]).sum()


@on_gpu
def test_a_gpu_uses_kernels_of_its_own_and_large_windows():
    engine = TorchEngine(MODEL, device="cuda", precision="auto")

    assert engine.facts.precision == "bfloat16"
    assert type(engine.fused.steps).__name__ == "Kernels"
    assert engine.window_cells["features"] >= FEATURE_CELLS


@on_gpu
def test_a_window_too_large_for_a_gpu_raises_an_error_and_frees_its_memory():
    engine = TorchEngine(MODEL, device="cuda", precision="bfloat16")
    torch.cuda.set_per_process_memory_fraction(0.01)
    try:
        with pytest.raises(OutOfMemory):
            engine.features(np.zeros((1, 12118, 12118, 3), np.uint8))
        assert torch.cuda.memory_reserved() < GB
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert engine.features(np.zeros((1, 150, 150, 3), np.uint8)).shape == (1, 512, 1, 1)
