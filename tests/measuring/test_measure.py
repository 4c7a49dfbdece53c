"""Measurement of drawn photographs: the truth is known, and drawn independently of crackcli."""

import dataclasses
import weakref

import cv2
import numpy as np
import pytest
from truth import Conditions, coverage, curve, decode, encode, photograph, ragged, ribbon, traced

from crackcli.measuring import batches
from crackcli.measuring import measure as measuring
from crackcli.measuring.full_contrast import Optics
from crackcli.measuring.measure import measure_all
from crackcli.measuring.profiles import ArrayPhotograph, GreyProfiles, RasterPhotograph
from crackcli.measuring.tone import TONE_CURVES
from crackcli.rasters.reader import inspect

SHAPE = (280, 320)


def drawn(rng, widths, angle=90.0, conditions=None, length=200, bend=5, shape=SHAPE):
    """Return a photograph of cracks side by side, and the cracks of a ragged mask, in order."""
    xs = (np.arange(len(widths)) + 0.5) * shape[1] / len(widths)
    lines = [curve(rng, (x, shape[0] / 2), length, angle, bend) for x in xs]
    covers = [
        coverage([ribbon(line, width)], shape) for line, width in zip(lines, widths, strict=True)
    ]
    image = photograph(rng, covers, conditions or Conditions())
    mask = np.maximum.reduce([ragged(rng, cover) for cover in covers])
    cracks = sorted(traced(mask), key=lambda crack: crack.bbox[0])
    assert len(cracks) == len(widths)
    return image, cracks


def conditions(rng, **given):
    """Return some of the conditions of the benchmark."""
    return Conditions(
        blur_px=rng.uniform(0.5, 1.5),
        noise=rng.uniform(0.01, 0.05),
        wall=rng.uniform(140, 200),
        crack=rng.uniform(30, 60),
        rise=rng.uniform(-0.3, 0.3),
        **given,
    )


@pytest.fixture(scope="module")
def sample():
    """True widths, and measured cracks, of 18 photographs of three cracks."""
    true, found = [], []
    for seed in range(18):
        rng = np.random.default_rng(seed)
        widths = [[1.0, 8.0, 2.0], [1.5, 12.0, 4.0], [3.0, 6.0, 1.0]][seed % 3]
        linear = seed % 2 == 0
        joint = rng.uniform(8, 14) if seed % 3 == 0 else None
        image, cracks = drawn(
            rng,
            widths,
            angle=90 + rng.uniform(-8, 8),
            conditions=conditions(rng, linear=linear, joint_px=joint),
        )
        tone = None if linear else TONE_CURVES["encoded"]
        done, _ = measure_all(cracks, ArrayPhotograph(image), tone=tone)
        true += widths
        found += [crack.widths for crack in done]
    return np.array(true), found


def test_widths_from_one_pixel_up_are_right_within_a_tenth_on_average(sample):
    true, found = sample
    light = np.array([one.method == "photometric" for one in found])
    away = np.array([one.mean_px for one in found]) - true

    assert light.mean() > 0.85
    for low, high in ((1, 2), (2, 6), (6, 13)):
        own = light & (low <= true) & (true < high)
        assert abs(away[own].mean()) < 0.1


def test_the_true_width_lies_within_two_sigma_of_the_mean(sample):
    true, found = sample
    known = [(one, width) for one, width in zip(found, true, strict=True) if one.mean_sigma_px]

    within = np.mean([abs(one.mean_px - width) <= 2 * one.mean_sigma_px for one, width in known])
    maxima = np.mean([abs(one.max_px - width) <= 2 * one.max_sigma_px for one, width in known])
    profiles = [(one.profile, width) for one, width in known]
    samples = np.concatenate(
        [np.abs(p.width_px - width)[np.isfinite(p.sigma_px)] for p, width in profiles]
    )
    sigmas = np.concatenate([p.sigma_px[np.isfinite(p.sigma_px)] for p, _ in profiles])

    assert within > 0.9
    assert maxima > 0.85
    assert (samples <= 2 * sigmas).mean() > 0.9
    assert np.median(sigmas) < 0.4


def test_widths_on_the_mask_are_worse(sample):
    """Otherwise the photograph would not be needed."""
    true, found = sample
    rng = np.random.default_rng(0)
    _, cracks = drawn(rng, [2.0, 8.0])

    assert np.mean([abs(one.mean_px - w) for one, w in zip(found, true, strict=True)]) < 0.3
    assert all(crack.widths.mean_px > w + 1 for crack, w in zip(cracks, [2.0, 8.0], strict=True))


@pytest.mark.parametrize("width", [2.0, 7.0])
def test_length_and_width_do_not_depend_on_the_angle(width):
    rng = np.random.default_rng(5)
    line = curve(rng, (0, 0), 200, 0, 6)
    lengths, widths = [], []
    for angle in (0, 11, 26.6, 45, 60, 83, 90, 137):
        turn = np.radians(angle)
        matrix = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
        cover = coverage([ribbon(line @ matrix.T + (130.3, 130.7), width)], (260, 260))
        image = photograph(np.random.default_rng(6), [cover], Conditions(noise=0.01))
        (crack,), _ = measure_all(traced(cover >= 0.4), ArrayPhotograph(image))
        lengths.append(crack.length_px)
        widths.append(crack.widths.mean_px)
        assert crack.orientation_deg == pytest.approx(angle, abs=3) or angle == 0

    true = np.hypot(*np.diff(line, axis=0).T).sum()
    assert np.array(lengths) == pytest.approx(np.full(8, np.mean(lengths)), rel=0.01)
    assert np.mean(lengths) == pytest.approx(true, rel=0.01)
    assert np.ptp(widths) < 0.1


def test_the_maximum_is_at_the_widest_place_and_the_profile_follows():
    rng = np.random.default_rng(8)
    line = curve(rng, (160, 140), 220, 20, 5)
    true = 3 + 5 * np.exp(-0.5 * ((np.arange(len(line)) - 600) / 60) ** 2)
    cover = coverage([ribbon(line, true)], SHAPE)
    image = photograph(rng, [cover], Conditions(noise=0.02))

    (crack,), _ = measure_all(traced(ragged(rng, cover)), ArrayPhotograph(image))

    widths = crack.widths
    assert widths.method == "photometric"
    assert widths.max_px == pytest.approx(8.0, abs=0.4)
    assert np.hypot(*(np.array(widths.max_at) - line[600])) < 5
    profile = widths.profile
    nearest = np.argmin(np.hypot(*(profile.points[:, None] - line).transpose(2, 0, 1)), axis=1)
    known = np.isfinite(profile.sigma_px)
    assert known.mean() > 0.85
    assert np.abs(profile.width_px - true[nearest])[known].mean() < 0.15
    assert profile.line.max() + 1 == len(crack.lines) == len(crack.centreline)
    assert np.isfinite(profile.width_px[known]).all()


def test_a_crack_brighter_than_the_surface_keeps_the_width_of_its_mask():
    rng = np.random.default_rng(9)
    image, cracks = drawn(rng, [5.0], conditions=Conditions(wall=110, crack=200))

    (crack,), _ = measure_all(cracks, ArrayPhotograph(image))

    assert crack.widths.method == "area_length"
    assert crack.widths.mean_px == pytest.approx(cracks[0].widths.mean_px, rel=0.02)
    assert crack.widths.mean_sigma_px is None
    assert np.isnan(crack.widths.profile.sigma_px).all()


def test_the_rim_of_a_shadow_keeps_the_width_of_its_mask():
    rng = np.random.default_rng(10)
    x = np.arange(SHAPE[1])
    light = np.where(x < 160, decode(180.0), 0.25 * decode(180.0))
    image = cv2.GaussianBlur(encode(np.tile(light, (SHAPE[0], 1))), (0, 0), 1.5)
    image = (image + rng.normal(0, 3, SHAPE)).clip(0, 255)
    mask = np.zeros(SHAPE, np.uint8)
    mask[40:240, 158:163] = 1

    (crack,), _ = measure_all(traced(mask), ArrayPhotograph(image))

    assert crack.widths.method == "area_length"


def test_a_dark_crack_is_photometric_beside_a_filled_one():
    rng = np.random.default_rng(11)
    image, cracks = drawn(rng, [4.0, 5.0])
    filled = image.astype(float)
    right = np.s_[:, SHAPE[1] // 2 :]
    filled[right] = 2 * np.median(filled[right]) - filled[right]

    dark, bright = measure_all(cracks, ArrayPhotograph(filled.clip(0, 255)))[0]

    assert (dark.widths.method, bright.widths.method) == ("photometric", "area_length")
    assert dark.widths.mean_px == pytest.approx(4.0, abs=3 * dark.widths.mean_sigma_px)


def test_a_crack_in_stretches_is_measured_as_a_whole(monkeypatch):
    rng = np.random.default_rng(12)
    image, cracks = drawn(rng, [6.0], length=240)
    (whole,), _ = measure_all(cracks, ArrayPhotograph(image))

    read_long, calls = batches.read_long, []
    monkeypatch.setattr(batches, "BATCH_VALUES", 10_000)
    monkeypatch.setattr(batches, "read_long", lambda *given: calls.append(1) or read_long(*given))
    (parts,), _ = measure_all(cracks, ArrayPhotograph(image))

    assert calls
    assert parts.length_px == pytest.approx(whole.length_px, rel=2e-3)
    assert parts.widths.mean_px == pytest.approx(whole.widths.mean_px, abs=0.02)
    assert len(parts.widths.profile.width_px) == len(whole.widths.profile.width_px)


@pytest.mark.parametrize("white", [255.0, 4095.0, 65535.0, 1.0], ids=["8", "12", "16", "float"])
def test_the_width_does_not_depend_on_the_bit_depth(tmp_path, white):
    rng = np.random.default_rng(15)
    image, cracks = drawn(rng, [1.2, 4.0], length=180)
    grey = image if image.ndim == 2 else image[..., 0]
    expected, _ = measure_all(cracks, ArrayPhotograph(grey), tone=TONE_CURVES["linear"])

    kind = {255.0: np.uint8, 1.0: np.float32}.get(white, np.uint16)
    values = grey / 255 * white
    values = values if white == 1.0 else np.rint(values)
    path = tmp_path / "wall.tif"
    assert cv2.imwrite(str(path), values.astype(kind))
    with RasterPhotograph(inspect(path, (1,))) as photograph:
        found, _ = measure_all(cracks, photograph, tone=TONE_CURVES["linear"])

    for one, other in zip(found, expected, strict=True):
        assert one.widths.method == other.widths.method == "photometric"
        assert one.widths.mean_px == pytest.approx(other.widths.mean_px, abs=0.03)


def test_at_most_two_stretches_of_profiles_are_in_memory(monkeypatch):
    rng = np.random.default_rng(17)
    image, cracks = drawn(rng, [6.0], length=240)
    held, most = weakref.WeakSet(), []
    read_long = batches.read_long

    def watched(*given):
        for batch in read_long(*given):
            held.add(batch.refined.profiles)
            most.append(len(held))
            yield batch
            del batch

    monkeypatch.setattr(batches, "BATCH_VALUES", 4_000)
    monkeypatch.setattr(batches, "read_long", watched)
    optics = dataclasses.replace(Optics(), tone=TONE_CURVES["linear"])
    monkeypatch.setattr(measuring, "find_optics", lambda *given: optics)
    measure_all(cracks, ArrayPhotograph(image))

    assert len(most) >= 5
    assert max(most) <= 2  # the one being read, and the one before


class Holed(ArrayPhotograph):
    """Photograph with nodata in some of its rows, which are of one grey."""

    def __init__(self, image, rows, grey):
        super().__init__(image)
        self.rows = rows
        self.grey[rows] = grey

    def read(self, window):
        grey, valid = super().read(window)
        rows = np.arange(window.row, window.end_row)
        return grey, valid & ~((rows >= self.rows.start) & (rows < self.rows.stop))[:, None]


@pytest.mark.parametrize("grey", [255, 0])
@pytest.mark.parametrize("width", [3.0, 7.0])
def test_nodata_across_a_crack_does_not_change_the_widths_beside_it(width, grey):
    rng = np.random.default_rng(16)
    image, cracks = drawn(rng, [width], length=240)
    (whole,), _ = measure_all(cracks, ArrayPhotograph(image), tone=TONE_CURVES["linear"])

    (found,), _ = measure_all(
        cracks, Holed(image, slice(120, 150), grey), tone=TONE_CURVES["linear"]
    )

    before, after = whole.widths.profile, found.widths.profile
    y = before.points[:, 1]
    measured = np.isfinite(after.sigma_px)
    assert not measured[(y > 119) & (y < 150)].any()
    rim = measured & (np.abs(y - 134.5) < 30)
    assert rim.sum() > 10
    assert after.width_px[rim] == pytest.approx(before.width_px[rim], abs=0.12 * width)


def test_incomplete_profiles_are_filled_from_the_nearest_of_their_line():
    values = np.arange(9, dtype=np.float32)[:, None]
    complete = np.array([1, 0, 0, 1, 0, 0, 1, 0, 0], bool)

    filled = GreyProfiles(values, 10 * values, complete).filled([0, 5, 7, 9])

    assert filled.encoded[:, 0].tolist() == [0, 0, 3, 3, 3, 6, 6, 7, 8]
    assert np.array_equal(filled.linear, 10 * filled.encoded)
    assert np.array_equal(filled.complete, complete)


def test_only_lines_and_widths_change():
    rng = np.random.default_rng(13)
    image, cracks = drawn(rng, [3.0, 6.0])

    done, _ = measure_all(cracks, ArrayPhotograph(image))

    changed = {
        "centreline", "lines", "length_px", "main_length_px", "tortuosity", "orientation_deg",
        "widths",
    }  # fmt: skip
    for before, after in zip(cracks, done, strict=True):
        for field in dataclasses.fields(before):
            if field.name not in changed:
                assert getattr(before, field.name) is getattr(after, field.name)
        assert (before.junctions, before.endpoints) == (after.junctions, after.endpoints)


def test_a_scene_without_cracks_can_be_measured():
    assert measure_all([], ArrayPhotograph(np.full((40, 40), 90.0)))[0] == []
