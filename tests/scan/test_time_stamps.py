"""A burnt-in time stamp is no crack to the shipped model."""

import cv2
import numpy as np
import pytest

from crackcli.scan.survey import SurveyTask, scan_survey

SHAPE = 480, 640
STAMPS = {  # text, place of its lower left corner, size, colour (blue, green, red), bar behind it
    "orange of a compact camera": ("'08 11 27", (400, 450), 1.1, (20, 120, 255), None),
    "white with a black outline": ("2021-08-14 16:32:05", (250, 460), 0.9, (255, 255, 255), None),
    "yellow": ("14/08/2021", (430, 455), 1.0, (0, 230, 255), None),
    "black bar with a place": ("N 48.137154 E 11.576124", (10, 468), 0.8, (255, 255, 255), 440),
    "black": ("Pier 3 / 27.11.2008 10:41", (10, 40), 0.9, (0, 0, 0), None),
}


def wall():
    """Plaster: grain, and shades of several sizes."""
    rng = np.random.default_rng(1)
    shades = sum(
        cv2.GaussianBlur(rng.normal(size=SHAPE), (0, 0), sigma) * sigma * strength
        for sigma, strength in ((2, 4), (12, 6), (60, 12))
    )
    grey = (170 + shades + rng.normal(0, 3, SHAPE)).clip(0, 255)
    return (grey[..., None] * (0.93, 0.97, 1)).astype(np.uint8)


def stamped(text, place, size, colour, bar):
    image = wall()
    if bar is not None:
        image[bar:] = 0
    outline = colour == (255, 255, 255) and bar is None
    for shade, thick in (((0, 0, 0), 5), (colour, 2))[0 if outline else 1 :]:
        cv2.putText(image, text, place, cv2.FONT_HERSHEY_SIMPLEX, size, shade, thick, cv2.LINE_AA)
    return image


def test_a_time_stamp_is_no_crack(tmp_path):
    (tmp_path / "in").mkdir()
    for name, stamp in STAMPS.items():
        cv2.imwrite(str(tmp_path / "in" / f"{name}.jpg"), stamped(*stamp))

    result = scan_survey(SurveyTask((tmp_path / "in",), tmp_path / "out"))

    assert {scene.scene: scene.crack_px for scene in result.scenes} == dict.fromkeys(STAMPS, 0)


@pytest.mark.parametrize("name", ["black"])
def test_the_stamps_can_be_seen(name):
    assert (np.abs(stamped(*STAMPS[name]).astype(int) - wall()).max(axis=2) > 60).sum() > 500
