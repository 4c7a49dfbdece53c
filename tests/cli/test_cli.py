"""The commands as typed: one line per error, documented exit codes, data on stdout."""

import json
import os
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest
from command import crackcli
from fakes import wall


def errors(done):
    return [line for line in done.stderr.splitlines() if line.startswith("Error: ")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A photograph, and files that are neither a photograph nor a model."""
    folder = tmp_path_factory.mktemp("cli")
    cv2.imwrite(str(folder / "wall.png"), wall(96, 130))
    (folder / "text.tif").write_text("no image")
    (folder / "text.onnx").write_text("no graph")
    (folder / "text.safetensors").write_text("no weights")
    (folder / "empty").mkdir()
    (folder / "file").touch()
    return folder


def test_the_version_is_printed_to_stdout():
    done = crackcli("--version")

    assert done.returncode == 0
    assert done.stdout.startswith("crackcli ")
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("command", "code", "message"),
    [
        ("scann", 2, "No such command 'scann'"),
        ("scan --nosuch", 2, "No such option: --nosuch"),
        (
            "scan wall.png --method lime",
            2,
            "--method lime: unknown; choose one of: cae, deeplift, ",
        ),
        ("scan wall.png --masking closing", 2, "choose one of: auto, plain, refined, study"),
        ("scan wall.png --zoom 3", 2, "--zoom 3: not supported; use 0.25, 0.5, 1, 2 or 4"),
        (
            "scan wall.png --engine keras",
            2,
            "--engine keras: unknown; choose one of: auto, onnx, raw, torch, zennit",
        ),
        (
            "scan wall.png --model nothere.onnx",
            6,
            "--model nothere.onnx: no such file; check the name",
        ),
        ("evaluate empty -o out --model gone.onnx", 6, "--model gone.onnx: no such file"),
        ("scan wall.png --model gone.safetensors", 6, "--model gone.safetensors: no such file"),
        ("train photos -o m.safetensors --from gone.safetensors", 6, "--from gone.safetensors: no"),
        (
            "train photos -o m.safetensors --network student --teacher gone.onnx",
            6,
            "--teacher gone.onnx: no such file",
        ),
        (
            "train photos -o m.safetensors --teacher shipped",
            2,
            "--teacher: teaches a student, not a vgg11; add --network student, or leave it out",
        ),
        ("scan wall.png --model text.onnx", 6, "text.onnx: not a usable ONNX graph"),
        ("scan wall.png --model text.safetensors", 6, ": not a complete safetensors file"),
        ("scan text.tif", 4, "text.tif: not a readable image"),
        ("scan empty", 4, "empty: no images in it"),
        ("scan nothere.jpg", 4, "nothere.jpg: does not exist; check the name"),
        ("scan wall.png -o file", 73, "file: cannot be written"),
        ("report empty", 4, "run crackcli scan -o empty first"),
        ("selftest nothere.jpg -o tested", 4, "nothere.jpg: does not exist; check the name"),
        ("selftest wall.png -o tested", 4, "wall.png: 130 x 96 px are too small"),
        ("selftest wall.png -o tested --widths a,b", 2, "--widths a,b: not numbers; give widths"),
        ("selftest wall.png -o file", 73, "file: cannot be written"),
        ("train empty -o mine.safetensors", 4, "empty: no subfolder 'no_crack'"),
    ],
)
def test_an_error_is_one_line_and_an_exit_code(folder, monkeypatch, command, code, message):
    monkeypatch.chdir(folder)

    done = crackcli(*command.split())

    assert done.returncode == code
    (line,) = errors(done)
    assert message in line
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_an_empty_path_is_not_the_current_folder(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(folder)

    done = crackcli("scan", "", "-o", tmp_path / "out")

    assert done.returncode == 2
    assert "a path is empty; give images or folders" in errors(done)[0]
    assert not (tmp_path / "out").exists()


def test_the_shipped_model_finds_a_crack_without_torch(folder, tmp_path):
    image = cv2.imread(os.fspath(sample("wall.tif")))[900:1300, 2200:2700]
    cv2.imwrite(str(tmp_path / "part.png"), image)

    done = without_torch("scan", tmp_path / "part.png", "-o", tmp_path / "out", "--json")

    assert done.returncode == 0, done.stderr
    (scene,) = json.loads(done.stdout)["scenes"]
    assert scene["status"] == "done"
    assert scene["crack_px"] > 500


def test_one_bad_file_is_named_and_the_other_is_done(folder, tmp_path):
    done = crackcli("scan", folder / "text.tif", folder / "wall.png", "-o", tmp_path, "-q")

    assert done.returncode == 3
    assert done.stdout.split() == [str(tmp_path / "wall" / "mask.tif")]
    assert len(errors(done)) == 1


@pytest.mark.parametrize(
    "command",
    [
        "scan wall.png --engine onnx -o out",
        "scan wall.png --engine torch -o out",
        "scan wall.png --engine zennit -o out",
        "scan wall.png --method raw -o out",
        "scan wall.png --dry-run -o out",
        "train photographs -o out/mine.safetensors",
        "evaluate labelled -o out",
        "evaluate labelled --methods raw,lrp -o out",
        "evaluate labelled --methods raw -o out",
    ],
)
def test_missing_cuda_is_an_error_not_a_run_on_the_cpu(folder, tmp_path, command):
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("CUDA is there")
    shutil.copy(folder / "wall.png", tmp_path)
    for name in ("labelled/images", "labelled/masks"):
        (tmp_path / name).mkdir(parents=True)
        image = np.zeros((96, 130), np.uint8)
        image[40:50] = 255
        cv2.imwrite(str(tmp_path / name / "wall.png"), image)
    paths = {"wall.png", "photographs", "labelled", "out", "out/mine.safetensors"}
    words = [tmp_path / word if word in paths else word for word in command.split()]

    done = crackcli(*words, "--device", "cuda")

    assert done.returncode == 5, done.stderr
    (line,) = errors(done)
    assert "CUDA is not usable" in line or "on the CPU only" in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("engine", ["onnx", "torch"])
def test_the_device_chosen_by_auto_is_logged_once_and_recorded(folder, tmp_path, engine):
    pytest.importorskip(engine)

    done = crackcli("scan", folder / "wall.png", "-o", tmp_path, "--engine", engine)

    run = json.loads((tmp_path / "run.json").read_text())
    scene = json.loads((tmp_path / "wall" / "scene.json").read_text())
    assert run["device"] == scene["device"]
    assert run["options"]["device"] == "auto"
    assert done.stderr.count(f"engine {engine} on {run['device']}") == 1


@pytest.mark.parametrize("method", ["lrp", "raw"])
def test_an_unknown_device_is_wrong_usage(folder, tmp_path, method):
    asked = ("scan", folder / "wall.png", "-o", tmp_path / "out", "--method", method)
    done = crackcli(*asked, "--device", "gpu")

    assert done.returncode == 2
    assert "--device gpu: unknown; choose one of: auto, cpu, cuda" in errors(done)[0]


@pytest.mark.parametrize(
    "command", ["train photos -o mine.safetensors", "export m.safetensors -o m"]
)
def test_a_missing_extra_shows_the_command_to_install_it(command):
    done = without_torch(*command.split())

    assert done.returncode == 2
    assert "pip install -c constraints.txt '.[train]'" in errors(done)[0]


def sample(name):
    from crackcli.shipped_models import CHECKOUT

    return CHECKOUT.parent / "sample_data" / name


def without_torch(*arguments):
    """Run crackcli as if torch were not installed; ONNX Runtime is."""
    program = "import sys; sys.modules.update(torch=None); import crackcli.__main__"
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_terminated_scan_can_be_resumed(tmp_path):
    """SIGTERM during a long scan: 143, one line, and the strips that are done stay."""
    import signal
    import time

    image = np.tile(wall(256, 256), (8, 2, 1))  # 16 strips of 128 rows
    cv2.imwrite(str(tmp_path / "wall.png"), image)
    scan, out = ("scan", tmp_path / "wall.png"), tmp_path / "out"
    run = subprocess.Popen(
        [sys.executable, "-m", "crackcli", *scan, "-o", out, "-q", "--core-px", "128"],
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 300
    while not list(out.rglob("strip_*.npz")) and time.monotonic() < deadline:
        time.sleep(0.2)
    run.send_signal(signal.SIGTERM)
    _, printed = run.communicate(timeout=120)

    assert run.returncode == 143
    assert printed.strip() == "Error: terminated; give the same command again to resume"
    assert list(out.rglob("strip_*.npz"))
    assert json.loads((out / "run.json").read_text())["exit_code"] == 143


def test_the_shipped_student_scans_without_torch(tmp_path):
    photograph = sorted((sample("patches") / "crack").iterdir())[0]
    asked = ("scan", photograph, "-o", tmp_path / "out", "--method", "student")

    done = without_torch(*asked)

    assert done.returncode == 0, done.stderr
    mask = cv2.imread(done.stdout.strip(), cv2.IMREAD_UNCHANGED)
    assert 0 < (mask == 1).mean() < 0.3
