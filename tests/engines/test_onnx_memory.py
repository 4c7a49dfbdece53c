"""Too little memory is said so, not taken for an unusable graph."""

import pytest

pytest.importorskip("onnxruntime")

from crackcli.engines import onnx
from crackcli.errors import DeviceError, ModelError, OutOfMemory

MESSAGES = [
    "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Exception during initialization: std::bad_alloc",
    "bfc_arena.cc:360 AllocateRawInternal(size_t, bool, Stream*) Failed to allocate memory",
    "CUDA failure 2: out of memory",
]


@pytest.mark.parametrize("message", MESSAGES)
def test_errors_of_the_runtime_about_memory_are_recognised(message):
    with (
        pytest.raises(OutOfMemory, match=r"lrp\.onnx: cpu has not enough free memory; free some"),
        onnx.memory_errors("lrp.onnx", "cpu"),
    ):
        raise RuntimeError(message)


def test_an_error_of_numpy_about_memory_is_recognised():
    with pytest.raises(OutOfMemory), onnx.memory_errors("lrp.onnx", "cpu"):
        raise MemoryError("Unable to allocate 8 GiB")


def test_other_errors_pass():
    with pytest.raises(RuntimeError, match="bad shape"), onnx.memory_errors("lrp.onnx", "cpu"):
        raise RuntimeError("bad shape")


@pytest.mark.parametrize(("message", "kind"), [(MESSAGES[0], DeviceError), ("bad", ModelError)])
def test_a_graph_that_does_not_fit_is_no_unusable_graph(tmp_path, monkeypatch, message, kind):
    def fail(*arguments, **options):
        raise RuntimeError(message)

    (tmp_path / "lrp.onnx").touch()
    monkeypatch.setattr(onnx.onnxruntime, "InferenceSession", fail)

    with pytest.raises(kind, match=r"lrp\.onnx: not ") as caught:
        onnx.open_session(tmp_path / "lrp.onnx", "cpu")

    assert not isinstance(caught.value, OutOfMemory)  # windows would be halved in vain
