"""A dry run counts what the engine would compute, and leaves no files."""

import json
import re
from dataclasses import astuple, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from cameras import write_heic
from command import crackcli
from fakes import DirectEngine, LocalEngine, wall

from crackcli.errors import Interrupted
from crackcli.inference import opening
from crackcli.inference.classifier_scorer import ClassifierScorer
from crackcli.inference.dense import DenseScorer
from crackcli.inference.options import ModelOptions
from crackcli.inference.prescreen import Int8Prescreen
from crackcli.inference.views import View, score_view
from crackcli.masking.refinement import Masking
from crackcli.rasters.reader import Raster, inspect
from crackcli.scan.dry_run.estimate import (
    LIKELY_GATED,
    Range,
    SceneEstimate,
    SurveyEstimate,
    estimate_survey,
)
from crackcli.scan.dry_run.memory import peak_mb
from crackcli.scan.dry_run.speed import measure
from crackcli.scan.dry_run.text import lines, shortened
from crackcli.scan.dry_run.workload import (
    COUNTED_STRIPS,
    PATCH_PX,
    blocks_hit,
    counted,
    counts_of,
    pass_px,
)
from crackcli.scan.survey import SurveyTask, scan_survey

CORE_PX = 96


class Counted(LocalEngine):
    """An engine that counts its inputs."""

    def __init__(self, kind="propagation", passes=1):
        super().__init__()
        self.facts = replace(self.facts, kind=kind, passes=passes)
        self.cells_px, self.seen, self.maps_px = 0, 0, 0.0

    def features(self, images):
        self.cells_px += images[..., 0].size
        return super().features(images)

    def head(self, cells, gate):
        self.seen += cells[:, 0].size
        return super().head(cells, gate)

    def back(self, images, value):
        self.maps_px += images[..., 0].size
        return super().back(images, value)

    def pass_map(self, images, gated, number, place):
        whole = images[..., 0].size
        images = images[:, 32:-32, 32:-32]
        self.maps_px += pass_px(whole, images[..., 0].size)
        return np.zeros(images.shape[:3], np.float32)

    @property
    def counts(self):
        return self.cells_px, self.seen, self.maps_px


class CountedDirect(DirectEngine):
    """The same for a method without a gate."""

    maps_px = 0

    def maps(self, images):
        self.maps_px += images[..., 0].size
        return super().maps(images)


def photograph(path, rows=411, cols=525, **kinds):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), wall(rows, cols, **kinds))
    return path


@pytest.fixture
def engine(monkeypatch):
    made = Counted()
    monkeypatch.setattr(opening, "open_engine", lambda *arguments: made)
    return made


def task(tmp_path, *sources, **options):
    chosen = {"model_options": ModelOptions(gate=0.3), "core_px": CORE_PX} | options
    return SurveyTask(sources or (tmp_path / "in",), tmp_path / "out", **chosen)


def names(folder):
    return sorted(path.relative_to(folder) for path in folder.rglob("*"))


@pytest.mark.parametrize("zoom", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("kind", ["propagation", "passes"])
@pytest.mark.parametrize("strips", [None, [1, 3, 4]])
def test_an_image_explained_all_over_takes_the_counted_workload(tmp_path, zoom, kind, strips):
    engine = Counted(kind, passes=1 if kind == "propagation" else 3)
    scorer = ClassifierScorer(engine, gate=0.0)
    info = inspect(photograph(tmp_path / "wall.png"))
    view = View.of(info, zoom, scorer, CORE_PX)
    strips = [i for i in strips or range(len(view.grid)) if i < len(view.grid)]

    with Raster(info) as raster:
        for index in strips:
            score_view(scorer, raster, view, index)
    load = counted(scorer, info, view, strips, cracked=True).load

    assert engine.counts == (load.cells_px, load.head, load.maps_px)


def test_a_prescreen_in_int8_is_counted_and_timed_separately(tmp_path):
    int8, engine = CountedInt8(), Counted()
    scorer = ClassifierScorer(engine, 0.99, Int8Prescreen(int8, 0.9))
    info = inspect(photograph(tmp_path / "wall.png", cracks=0))
    view = View.of(info, 1.0, scorer, CORE_PX)
    strips = range(len(view.grid))

    with Raster(info) as raster:
        for index in strips:
            scorer.score_strip(raster, view.grid, index)
    sound, cracked = (counted(scorer, info, view, strips, cracked=c).load for c in (False, True))

    assert int8.cells_px == sound.look_px == cracked.look_px > 0
    assert engine.cells_px == sound.cells_px < int8.cells_px / 50  # a cell of fill
    assert cracked.cells_px > int8.cells_px / 2
    assert measure(scorer, Masking("plain")).look_s > 0


class CountedInt8(Counted):
    """The same with the checksum of its file."""

    sha256 = "0" * 64


@pytest.mark.parametrize("kind", ["window", "tiles"])
def test_a_method_without_a_gate_takes_the_counted_workload(tmp_path, kind):
    engine = CountedDirect(kind)
    scorer = DenseScorer(engine)
    info = inspect(photograph(tmp_path / "wall.png"))
    view = View.of(info, 1.0, scorer, CORE_PX)

    with Raster(info) as raster:
        for index in range(len(view.grid)):
            scorer.score_strip(raster, view.grid, index)

    counts = counts_of(scorer, info, view, range(len(view.grid)), cracked=True)
    assert engine.maps_px == counts.load.maps_px


@pytest.mark.parametrize("cracked", [False, True])
@pytest.mark.parametrize("zoom", [1.0, 2.0])
def test_many_strips_are_extrapolated_from_fewer(tmp_path, cracked, zoom):
    info = replace(
        inspect(photograph(tmp_path / "wall.png")), rows=4 * COUNTED_STRIPS * CORE_PX - 50
    )
    scorer = ClassifierScorer(Counted(), gate=0.5)
    view = View.of(info, zoom, scorer, CORE_PX)
    strips = range(len(view.grid))

    told = counts_of(scorer, info, view, strips, cracked=cracked).load
    each = counted(scorer, info, view, strips, cracked=cracked).load

    assert len(strips) > 3 * COUNTED_STRIPS
    assert astuple(told) == pytest.approx(astuple(each), rel=0.02)
    assert (told.maps_px > 0) == cracked


def test_a_dry_run_leaves_no_files_and_reports_the_failures_of_a_scan(engine, tmp_path):
    photograph(tmp_path / "in/a.png")
    (tmp_path / "in/b.tif").write_text("no image")
    asked = task(tmp_path, tmp_path / "in", tmp_path / "nothere.jpg")
    before = names(tmp_path)
    told, heard = [], []

    found = estimate_survey(asked, on_failure=told.append)

    assert names(tmp_path) == before
    scan_survey(asked, on_failure=heard.append)
    assert sorted(map(str, told)) == sorted(map(str, heard))
    assert len(told) == 2
    assert found.exit_code == 3
    assert [scene.scene for scene in found.scenes] == ["a"]
    assert found.scenes[0].blocks == 5 * 6
    assert found.assumption.tiles_gated == LIKELY_GATED


def test_a_range_extends_from_crack_free_to_cracked(engine, tmp_path):
    photograph(tmp_path / "in/a.png")
    photograph(tmp_path / "in/b.png", 96, 130)

    found = estimate_survey(task(tmp_path))

    for scene in found.scenes:
        assert 0 < scene.seconds.sound < scene.seconds.likely < scene.seconds.cracked
        assert 0 < scene.result_mb.sound < scene.result_mb.cracked
        assert scene.work_mb.cracked > scene.result_mb.cracked
    large, small = (scene.seconds for scene in found.scenes)
    assert found.seconds.cracked > large.cracked + small.cracked
    assert found.work_mb == found.scenes[0].work_mb
    assert found.free_mb > 0


def test_a_gate_of_0_leaves_no_range(engine, tmp_path):
    photograph(tmp_path / "in/a.png")

    (scene,) = estimate_survey(task(tmp_path, model_options=ModelOptions(gate=0.0))).scenes

    assert scene.seconds.sound == scene.seconds.cracked > 0


def test_strips_of_an_interrupted_scan_count_as_done(engine, tmp_path):
    photograph(tmp_path / "in/a.png")

    def stop(share, words):
        if share > 0.5:
            raise Interrupted("terminated", 143)

    fresh = estimate_survey(task(tmp_path)).scenes[0]
    with pytest.raises(Interrupted):
        scan_survey(task(tmp_path), stop)
    before = names(tmp_path)
    (scene,) = estimate_survey(task(tmp_path)).scenes

    there = len(list((tmp_path / "out/a/.crackcli-work").glob("strip_*")))
    assert (fresh.status, scene.status) == ("new", "interrupted")
    assert (fresh.strips_done, scene.strips_done) == (0, there)
    assert 0 < there < scene.strips
    assert scene.blocks == (scene.strips - there) * 6
    assert names(tmp_path) == before
    (other,) = estimate_survey(task(tmp_path, model_options=ModelOptions(gate=0.4))).scenes
    assert (other.status, other.strips_done) == ("new", 0)


def test_a_finished_scene_takes_no_time_and_a_new_mask_no_blocks(engine, tmp_path):
    photograph(tmp_path / "in/a.png")
    scan_survey(task(tmp_path))

    same, masked, anew = (
        estimate_survey(task(tmp_path, **options)).scenes[0]
        for options in ({}, {"masking": Masking("study")}, {"overwrite": True})
    )

    assert (same.status, same.blocks, same.seconds.cracked) == ("unchanged", 0, 0.0)
    assert (masked.status, masked.blocks) == ("to mask", 0)
    assert 0 < masked.seconds.cracked < anew.seconds.cracked
    assert (anew.status, anew.blocks) == ("new", 30)


def test_the_likely_figure_follows_earlier_scenes(engine, tmp_path):
    photograph(tmp_path / "in/a.png")
    scan_survey(task(tmp_path))
    record = json.loads((tmp_path / "out/a/scene.json").read_text())

    found = estimate_survey(task(tmp_path)).assumption
    other = estimate_survey(task(tmp_path, model_options=ModelOptions(gate=0.31))).assumption

    assert found.tiles_gated == pytest.approx(record["tiles_gated"])
    assert "1 finished scene in" in found.source
    assert other.tiles_gated == LIKELY_GATED
    assert "default" in other.source


def test_blocks_of_nodata_take_no_time(engine, tmp_path):
    image = wall(384, 2048)
    whole = np.full((384, 2048, 1), 255, np.uint8)
    half = whole.copy()
    half[:, 1024:] = 0
    for name, alpha in (("whole", whole), ("half", half)):
        (tmp_path / "in").mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / "in" / f"{name}.png"), np.concatenate([image, alpha], axis=2))

    half, whole = estimate_survey(task(tmp_path, core_px=128)).scenes

    assert (half.data_share, whole.data_share) == (0.5, 1.0)
    assert half.seconds.cracked < 0.75 * whole.seconds.cracked


def test_the_formula_for_blocks_hit_agrees_with_random_patches():
    facts = LocalEngine().facts
    side, core = 40 * PATCH_PX, 512
    rng = np.random.default_rng(2)
    middles = rng.uniform(0, side, (350, 2))
    points = rng.uniform(PATCH_PX, side - PATCH_PX, (4000, 2))
    apart = np.abs(points[:, None] - middles[None])

    gated = (np.hypot(*apart.T) < PATCH_PX / 2).any(axis=0).mean()
    reach = (core + facts.tile_px) / 2 + facts.reach_px
    beyond = (apart - reach).clip(min=0)
    hit = (np.hypot(*beyond.T) < PATCH_PX / 2).any(axis=0).mean()

    assert 0.1 < gated < 0.3
    assert blocks_hit(gated, core, facts) == pytest.approx(hit, abs=0.05)
    assert (blocks_hit(0.0, core, facts), blocks_hit(1.0, core, facts)) == (0.0, 1.0)


@pytest.mark.parametrize("kind", ["propagation", "passes", "window", "tiles"])
def test_every_kind_of_method_has_a_speed(tmp_path, kind):
    direct = kind in ("window", "tiles")
    scorer = (
        DenseScorer(CountedDirect(kind)) if direct else ClassifierScorer(Counted(kind), gate=0.5)
    )

    pace = measure(scorer, Masking("plain"))

    assert pace.maps_s > 0
    assert (pace.cells_s > 0) == (pace.head_s > 0) == (not direct)
    assert pace.cracked.strip_bytes > pace.sound.strip_bytes > 0


def test_memory_does_not_grow_with_the_rows_and_only_a_little_with_the_columns(tmp_path):
    info = inspect(photograph(tmp_path / "wall.png"))
    scorer = ClassifierScorer(Counted(), gate=0.5)

    def peak(rows, cols):
        raster = replace(info, rows=rows, cols=cols)
        view = View.of(raster, 1.0, scorer, CORE_PX)
        counts = counts_of(scorer, raster, view, range(len(view.grid)), cracked=True)
        return peak_mb(scorer, raster, [view], [counts], 0.0)

    assert peak(1_000_000, 1_000) == peak(200_000, 1_000)
    assert peak(200_000, 1_000) < peak(200_000, 10_000) < 10 * peak(200_000, 1_000)


def test_the_table_fits_into_a_terminal():
    names = ["DJI_20261105_0001_V_upper_part_of_the_north_facade.JPG", "b.png"]
    scenes = [
        SceneEstimate(
            scene="scene",
            source=Path(name),
            status="interrupted",
            rows=60_000,
            cols=80_000,
            megapixels=4800.0,
            zooms=(1.0, 2.0),
            strips=120,
            strips_done=110,
            blocks=12_345,
            data_share=0.5,
            seconds=Range(4e4, 5e4, 6e4),
            peak_mb=12_345.0,
            result_mb=Range(1e4, 1e4, 1e4),
            work_mb=Range(1e4, 1e4, 1e4),
        )
        for name in names
    ]
    found = SurveyEstimate(scenes=scenes)

    whole, narrow = list(lines(found)), list(lines(found, columns=100))

    assert names[0] in whole[1]
    assert max(map(len, narrow)) <= 100
    assert re.match(r"DJI_.*….*\.JPG  ", narrow[1])
    assert "interrupted, 110/120 strips" in narrow[1]
    assert shortened("wall.png", 8) == "wall.png"


def test_the_command_prints_a_line_for_each_image_and_totals(tmp_path):
    photograph(tmp_path / "in/a.png")
    photograph(tmp_path / "in/b.png", 96, 130)
    asked = ("scan", tmp_path / "in", "-o", tmp_path / "out", "--method", "raw", "--dry-run")

    text, data = crackcli(*asked), crackcli(*asked, "--json", "-q")

    assert (text.returncode, data.returncode) == (0, 0), text.stderr + data.stderr
    lines = text.stdout.splitlines()
    assert [line.split()[0] for line in lines[:3]] == ["image", "a.png", "b.png"]
    assert any(line.startswith("2 images, 0.2 MP, 3 blocks to scan: ") for line in lines)
    scenes = json.loads(data.stdout)["scenes"]
    assert [Path(scene["source"]).name for scene in scenes] == ["a.png", "b.png"]
    assert data.stderr == ""
    assert not (tmp_path / "out").exists()


def test_a_photograph_that_is_decoded_whole_takes_memory_for_it(tmp_path, monkeypatch):
    pytest.importorskip("pillow_heif")
    monkeypatch.setattr(opening, "open_engine", lambda *arguments: LocalEngine())
    image = wall(600, 800)
    cv2.imwrite(str(tmp_path / "plain.png"), image)
    write_heic(tmp_path / "phone.heic", image)
    monkeypatch.setattr("crackcli.scan.dry_run.estimate.resident_mb", lambda: 100.0)

    found = estimate_survey(SurveyTask((tmp_path,), tmp_path / "out"))

    peaks = {scene.scene: scene.peak_mb for scene in found.scenes}
    assert peaks["phone"] - peaks["plain"] == pytest.approx(12 * image[..., 0].size / 1e6, rel=0.1)
