"""An evaluation from folder to files: which methods run, what counts, what is written."""

import csv
import json
import shutil
import subprocess
import sys
from dataclasses import replace

import cv2
import numpy as np
import pytest
from fakes import LocalEngine, wall

from crackcli.datasets.mask_values import MaskValues, parse_values
from crackcli.errors import InputError, ModelError, OutputError, UsageError
from crackcli.evaluation import candidates
from crackcli.evaluation import evaluate as evaluating
from crackcli.evaluation.candidates import OURS, STUDY, Masked, MethodChoice, open_methods
from crackcli.evaluation.contact_sheet import FALSE, FOUND, MISSED, SheetRow, contact_sheet
from crackcli.evaluation.evaluate import EvaluateTask, evaluate
from crackcli.evaluation.tables import make_tables, table_1, table_2
from crackcli.evaluation.write import write_evaluation
from crackcli.inference.classifier_scorer import ClassifierScorer

SHAPE = (160, 192)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Two sets of cracked photographs, one with a crack-free one beside them."""
    folder = tmp_path_factory.mktemp("data")
    for name, number in (("roads", 1), ("walls", 2)):
        for kind in ("images", "masks", "no_crack"):
            (folder / name / kind).mkdir(parents=True)
        for index in range(number):
            image = wall(*SHAPE, seed=index)
            cv2.imwrite(str(folder / name / f"images/{index}.png"), image)
            cv2.imwrite(
                str(folder / name / f"masks/{index}.png"), 255 * (image < 50)[..., 0].astype("u1")
            )
    cv2.imwrite(str(folder / "walls/no_crack/sound.png"), wall(*SHAPE, seed=9, cracks=0))
    return folder


class Local(LocalEngine):
    """The engine of `fakes` under any name."""

    def __init__(self, model, method, start, baseline):
        super().__init__()
        network = (model.stem.rpartition("_")[0] if model else "") or "vgg11"
        self.facts = replace(
            self.facts,
            method=method,
            start=start or "margin",
            network=network,
            model=model.name if model else "shipped.onnx",
            model_sha256=model.stem if model else "shipped",
            baseline=baseline,
        )


SERVED = {"vgg11": {"lrp", "gradient", "intgrad"}, "unet": {"unet"}}


def open_local(options):
    method, start = options.method, options.start
    opened = Local(options.model, method, start, options.baseline)
    if method not in SERVED[opened.facts.network]:
        raise ModelError(f"{opened.facts.model} is no model for {method}")
    if start == "crack" and method == "gradient":
        raise ModelError("no graph has this start")
    return ClassifierScorer(opened, options.gate)


@pytest.fixture(autouse=True)
def _local(monkeypatch):
    monkeypatch.setattr(candidates, "open_scorer", open_local)
    monkeypatch.setattr(candidates, "read_network", lambda model: model.stem.rpartition("_")[0])
    monkeypatch.setattr(candidates, "METHODS", dict.fromkeys(("gradient", "lrp", "unet", "zebra")))


def opened(choice, protocols=(STUDY,)):
    """Protocol, method, model and start of each opened method."""
    return [
        (one.candidate.protocol, one.candidate.method, one.facts.model_sha256, one.facts.start)
        for one in open_methods(choice, protocols).opened
    ]


def models(tmp_path, *stems):
    return tuple(tmp_path / f"{stem}.onnx" for stem in stems)


def test_methods_that_are_not_available_are_left_out_of_all():
    methods = open_methods(MethodChoice(), (STUDY,))

    assert opened(MethodChoice()) == [
        (STUDY, "gradient", "shipped", "margin"),  # no graph has the paper's start
        (STUDY, "lrp", "shipped", "both"),
    ]
    assert methods.left_out == {
        "unet": "shipped.onnx is no model for unet",
        "zebra": "shipped.onnx is no model for zebra",
    }


def test_a_method_that_one_protocol_cannot_run_is_left_out_of_it_only(monkeypatch):
    def open_both(options):
        if options.start != "both":
            raise ModelError("there is the graph of one start only")
        return open_local(options)

    monkeypatch.setattr(candidates, "open_scorer", open_both)
    monkeypatch.setattr(candidates, "METHODS", {"lrp": ""})
    methods = open_methods(MethodChoice(), (STUDY, OURS))

    assert [one.candidate.protocol for one in methods.opened] == [STUDY]
    assert methods.left_out == {"lrp (ours)": "there is the graph of one start only"}


def test_a_missing_package_is_named_with_the_command_that_installs_it():
    reason = candidates.reason(ModuleNotFoundError("no", name="torch.nn"))

    assert reason.startswith("torch is not installed")
    assert "pip install -c constraints.txt '.[train]'" in reason


def test_a_named_method_that_is_not_available_raises_its_error():
    with pytest.raises(ModelError, match="no model for unet"):
        open_methods(MethodChoice(methods=("lrp", "unet")), (STUDY,))


def test_each_given_model_runs_the_methods_made_for_it(tmp_path):
    given = models(tmp_path, "vgg11_a", "vgg11_b", "unet_a")

    assert opened(MethodChoice(models=given), (OURS,)) == [
        (OURS, "gradient", "vgg11_a", "margin"),
        (OURS, "gradient", "vgg11_b", "margin"),
        (OURS, "lrp", "vgg11_a", "margin"),
        (OURS, "lrp", "vgg11_b", "margin"),
        (OURS, "unet", "unet_a", "margin"),
    ]


def test_the_shipped_model_runs_methods_of_networks_that_were_not_given(tmp_path):
    given = models(tmp_path, "unet_a")

    assert [model for *_, model, _ in opened(MethodChoice(models=given))] == [
        "shipped",
        "shipped",
        "unet_a",
    ]


def test_a_chosen_start_applies_to_both_protocols():
    starts = {start for *_, start in opened(MethodChoice(("lrp",), start="crack"), (STUDY, OURS))}

    assert starts == {"crack"}


def test_the_baseline_of_the_paper_is_black_in_its_segmentation():
    (study, ours) = open_methods(MethodChoice(("intgrad",)), (STUDY, OURS)).opened

    assert (study.facts.baseline, ours.facts.baseline) == ("black", None)


def make_perfect(monkeypatch):
    """Let every method mark exactly the dark pixels, in one second per photograph."""

    def mark(photograph):
        grey = cv2.imread(str(photograph), cv2.IMREAD_GRAYSCALE)
        return Masked(grey < 50, 1.0, 0.5)

    for name in ("make_masker", "make_growth_masker"):
        monkeypatch.setattr(evaluating, name, lambda method, scorer, folder: mark)


def test_a_perfect_method_has_perfect_scores_in_every_table(data, tmp_path, monkeypatch):
    make_perfect(monkeypatch)
    task = EvaluateTask(data, tmp_path, MethodChoice(("lrp",)), growth=True, trajectories=2)

    first, second, third = make_tables(evaluate(task), task)

    for row in first.rows:
        assert (row["f1_pct"].mean, row["iou_pct"].mean) == (1, 1)
        assert row["seconds_per_megapixel"].mean == 2
    for row in second.rows:
        assert (row["count_mae"].mean, row["area_mape_pct"].mean) == (0, 0)
        assert row["width_ours_mape_pct"].mean == 0
    for row in third.rows:
        if row["experiment"] == "strokes":
            assert row["area_r"].mean == pytest.approx(1)
            assert row["area_slope_mape_pct"].mean == pytest.approx(0)
            assert row["width_ours_r"].mean == pytest.approx(1)


def test_crack_free_photographs_count_in_our_protocol_only(data, tmp_path, monkeypatch):
    def everything(photograph):
        return Masked(np.ones(SHAPE, bool), 1.0, 0.5)

    monkeypatch.setattr(evaluating, "make_masker", lambda method, scorer, folder: everything)
    task = EvaluateTask(data / "walls", tmp_path, MethodChoice(("lrp",)))
    result = evaluate(task)

    study, ours = (entry.scores["walls"] for entry in result.entries)
    assert study.pixels[0].pixels == 2 * np.prod(SHAPE)
    assert ours.pixels[0].pixels == 3 * np.prod(SHAPE)
    assert ours.pixels[0].precision < study.pixels[0].precision
    assert (study.crack_free.pixels, ours.crack_free.marked_fraction) == (0, 1)
    assert table_2(result).rows[1]["count_mae"].mean == pytest.approx(1 / 3)
    assert [row["false_alarms_pct"].mean for row in table_1(result, task).rows[1:]] == [1, 1]


def test_masks_of_class_numbers_have_the_scores_of_those_of_255(data, tmp_path, monkeypatch):
    make_perfect(monkeypatch)
    folder = shutil.copytree(data / "walls", tmp_path / "walls")
    for path in (folder / "masks").iterdir():
        mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        mask[mask > 0] = 2
        mask[60:90] = 255  # rows that do not count
        cv2.imwrite(str(path), mask)
    task = EvaluateTask(folder, tmp_path, MethodChoice(("lrp",)))

    def evaluated(crack, ignore):
        values = parse_values("--mask-crack", crack), parse_values("--mask-ignore", ignore)
        entries = evaluate(replace(task, mask_values=MaskValues(*values))).entries
        return [entry.scores["walls"].pixels[0] for entry in entries]

    with pytest.raises(InputError, match=r"its values are 0 .*, 255 .*, 2 .*--mask-crack 2"):
        evaluate(task)
    study, ours = evaluated("2", "255")
    wrong, _ = evaluated("2", "7")  # the rows count, and what is marked there is false
    with pytest.raises(InputError, match=r"no mask has a pixel of value 9 \(--mask-crack\)"):
        evaluated("9", "255")

    assert (study.f1, ours.f1) == (1, 1)
    assert study.pixels == 2 * (np.prod(SHAPE) - 30 * SHAPE[1])
    assert ours.pixels == study.pixels + np.prod(SHAPE)
    assert (wrong.recall, wrong.pixels) == (1, 2 * np.prod(SHAPE))
    assert wrong.precision < 1


def test_the_files_contain_results_options_and_models(data, tmp_path):
    out, fractions = tmp_path / "out", []
    task = EvaluateTask(data, out, MethodChoice(("lrp",)), growth=True, trajectories=1)

    summary = write_evaluation(task, lambda fraction, words: fractions.append(fraction))

    tables = [f"table{number}.csv" for number in (1, 2, 3)]
    names = [*tables, "evaluation.md", "contact.png", "evaluation.json"]
    assert [path.name for path in summary.paths] == names
    assert sorted(path.name for path in out.iterdir()) == sorted(names)
    assert fractions == sorted(fractions)
    assert 0 <= fractions[0] < fractions[-1] < 1
    rows = list(csv.DictReader((out / "table1.csv").read_text().splitlines()))
    assert {row["set"] for row in rows} == {"roads", "walls", "all sets"}
    found = {(r["protocol"], r["method"], r["tolerance_px"]): float(r["f1_pct"]) for r in rows[-3:]}
    assert found[OURS, "lrp", "2"] > 90
    record = json.loads((out / "evaluation.json").read_text())
    assert record["options"]["choice"]["methods"] == ["lrp"]
    assert record["contenders"][0]["model_sha256"] == "shipped"
    walls = {"name": "walls", "cracked": 2, "sound": 1, "unreadable": {}}
    assert record["sets"][1] == walls
    document = (out / "evaluation.md").read_text()
    assert "The paper's photographs are not available" in document
    assert "lrp (study): shipped.onnx, vgg11, start both" in document
    assert "NaN" not in (out / "evaluation.json").read_text()


def test_the_same_seed_gives_the_same_growth(data, tmp_path):
    task = EvaluateTask(
        data, tmp_path, MethodChoice(("lrp",)), (STUDY,), growth=True, trajectories=1
    )

    one, other = (evaluate(task).entries[0].growth for _ in range(2))

    assert one == other


def test_an_evaluation_is_only_replaced_with_overwrite(data, tmp_path):
    task = EvaluateTask(data, tmp_path / "out", MethodChoice(("lrp",)), (STUDY,), limit=1)
    write_evaluation(task)

    with pytest.raises(OutputError, match=r"evaluation.json: exists already; .* --overwrite"):
        write_evaluation(task)
    write_evaluation(replace(task, overwrite=True))


@pytest.mark.parametrize("name", ["table1.csv", "evaluation.md", "contact.png"])
def test_a_file_that_is_in_the_way_is_refused_at_once(data, tmp_path, name):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_text("my notes")
    task = EvaluateTask(data, tmp_path / "out", MethodChoice(("lrp",)), (STUDY,), limit=1)

    with pytest.raises(OutputError, match=f"{name}: exists already; .* --overwrite"):
        write_evaluation(task)

    assert (tmp_path / "out" / name).read_text() == "my notes"


def test_an_error_leaves_no_folder(data, tmp_path):
    task = EvaluateTask(data, tmp_path / "out", MethodChoice(("unet",)))

    with pytest.raises(ModelError):
        write_evaluation(task)
    assert not (tmp_path / "out").exists()
    with pytest.raises(UsageError, match="--trajectories 0: must be at least 1"):
        replace(task, trajectories=0)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ("nothere", 4, "nothere: not a folder; give one with images/ and masks/"),
        (
            "{data} --protocol theirs",
            2,
            "--protocol theirs: unknown; choose one of: both, ours, study",
        ),
        ("{data} --methods lime", 2, "--method lime: unknown; choose one of: "),
        ("{data} --model nothere.onnx", 6, "nothere.onnx: no such file"),
        ("{data} --growth --methods raw --limit 1 -o {data}/roads/masks/0.png", 73, "be written"),
    ],
)
def test_a_wrong_call_prints_one_line_and_exits_with_a_code(data, tmp_path, arguments, code, says):
    words = ["evaluate", "-o", str(tmp_path / "out"), *arguments.format(data=data).split()]
    done = subprocess.run(
        [sys.executable, "-m", "crackcli", *words], capture_output=True, text=True, check=False
    )

    errors = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert (done.returncode, len(errors)) == (code, 1), done.stderr
    assert says in errors[0]
    assert done.stdout == ""
    assert not (tmp_path / "out").exists()


def test_the_shipped_graphs_are_evaluated_without_torch(data, tmp_path):
    program = "import sys; sys.modules.update(torch=None); import crackcli.__main__"
    chosen = ["--methods", "lrp,raw", "--protocol", "study", "--json"]
    words = ["evaluate", data / "roads", "-o", tmp_path / "out", *chosen]

    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    found = [(one["method"], one["start"]) for one in record["contenders"]]
    assert found == [("lrp", "both"), ("raw", "none")]
    assert (tmp_path / "out/contact.png").is_file()
    assert "Table 1" in done.stderr


def test_the_contact_sheet_shows_found_false_and_missed_pixels():
    image = wall(100, 200, cracks=0)
    true, mask = np.zeros((2, 100, 200), bool)
    true[:, 20:40] = True
    mask[:50, 20:40] = mask[:50, 100:120] = True

    sheet = contact_sheet([SheetRow("north", image, true, [mask, None])], ["lrp", "unet"], "Masks")

    for colour, fraction in ((FOUND, 0.05), (FALSE, 0.05), (MISSED, 0.05)):
        cell_px = 224 * 112
        assert (sheet == colour).all(axis=2).sum() / cell_px == pytest.approx(fraction, abs=0.02)
