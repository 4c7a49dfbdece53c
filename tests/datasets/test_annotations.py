"""Outlines of labelling programs give the masks that they outline."""

import json

import cv2
import numpy as np
import pytest

from crackcli.datasets.mask_values import MaskValues, parse_values
from crackcli.datasets.pixel_labels import find_sets
from crackcli.errors import InputError

SHAPE = ROWS, COLS = 40, 50
CRACK, SPALL = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
CRACK[10:20, 10:22] = True
SPALL[18:30, 12:40] = True
CRACK_XY, SPALL_XY = ([10, 10, 22, 10, 22, 20, 10, 20], [12, 18, 40, 18, 40, 30, 12, 30])
COMPRESSED = {"size": [ROWS, COLS], "counts": "j<:n0000000000000000000000fR1"}  # by pycocotools


def pairs(points):
    return np.reshape(points, (-1, 2)).tolist()


def coco(crack, spall=SPALL_XY):
    shapes = [(1, crack if isinstance(crack, dict) else [crack]), (2, [spall])]
    return {
        "images": [{"id": 7, "file_name": "walls/a.jpg", "height": ROWS, "width": COLS}],
        "categories": [{"id": 1, "name": "Crack"}, {"id": 2, "name": "spall"}],
        "annotations": [
            {"image_id": 7, "category_id": number, "segmentation": shape}
            for number, shape in shapes
        ],
    }


def runs(flags):
    """Return the lengths of alternating runs; the first is of False."""
    ends = np.flatnonzero(np.diff(flags, prepend=False)).tolist()
    return np.diff([0, *ends, flags.size]).tolist()


def write_coco(folder, crack=CRACK_XY):
    (folder / "annotations").mkdir()
    (folder / "annotations/instances.json").write_text(json.dumps(coco(crack)))


def write_coco_runs(folder):
    write_coco(folder, {"size": [ROWS, COLS], "counts": runs(CRACK.T.ravel())})


def write_coco_compressed(folder):
    write_coco(folder, COMPRESSED)


def write_cvat(folder):
    points = [";".join(f"{x}.0,{y}.0" for x, y in pairs(xy)) for xy in (CRACK_XY, SPALL_XY)]
    (folder / "annotations.xml").write_text(
        f'<?xml version="1.0"?><annotations><image id="0" name="a.jpg" width="{COLS}" '
        f'height="{ROWS}"><tag label="wall"/><polygon label="Crack" points="{points[0]}"/>'
        f'<polygon label="spall" points="{points[1]}"/>'
        '<box label="Crack" xtl="1" ytl="2" xbr="3" ybr="4"/></image></annotations>'
    )


def write_cvat_mask(folder):
    lengths = ", ".join(map(str, runs(CRACK[9:20, 8:22].ravel())))
    (folder / "annotations.xml").write_text(
        f'<annotations><image name="a.jpg" width="{COLS}" height="{ROWS}">'
        f'<mask label="Crack" rle="{lengths}" left="8" top="9" width="14" height="11"/>'
        '<polyline label="spall" points="1.5,1.5;4.5,1.5"/></image></annotations>'
    )


def write_labelme(folder):
    shapes = [
        {"label": name, "points": pairs(points), "shape_type": "polygon"}
        for name, points in (("Crack", CRACK_XY), ("spall", SPALL_XY))
    ]
    content = {"imageHeight": ROWS, "imageWidth": COLS, "shapes": shapes}
    (folder / "images/a.json").write_text(json.dumps(content))


FORMATS = [
    *(write_coco, write_coco_runs, write_coco_compressed),
    *(write_cvat, write_cvat_mask, write_labelme),
]


@pytest.fixture
def folder(tmp_path):
    """Photographs a and b; labels are for a."""
    (tmp_path / "images").mkdir()
    for name in "ab":
        cv2.imwrite(str(tmp_path / f"images/{name}.jpg"), np.full(SHAPE, 90, np.uint8))
    return tmp_path


@pytest.mark.parametrize("write", FORMATS)
def test_outlines_become_masks(folder, write, caplog):
    write(folder)

    (found,) = find_sets(folder)

    (item,) = found.photographs
    assert item.photograph.name == "a.jpg"
    assert np.array_equal(item.label_values(), np.where(CRACK, 255, 0))
    assert "1 of 2 photographs skipped; no mask" in caplog.text
    assert ("shapes without an outline are left out: 1 x box" in caplog.text) == (
        write is write_cvat
    )


def test_classes_are_chosen_by_name(folder):
    write_labelme(folder)
    values = parse_values("--mask-crack", "spall"), parse_values("--mask-ignore", "Crack")

    (item,) = find_sets(folder, mask_values=MaskValues(*values))[0].photographs

    assert np.array_equal(item.label_values() > 0, SPALL & ~CRACK)
    assert np.array_equal(item.ignored(), CRACK)
    with pytest.raises(InputError, match=r"--mask-crack hole: no such class; .* are Crack, spall"):
        find_sets(folder, mask_values=MaskValues(parse_values("--mask-crack", "hole")))


def test_yolo_has_numbers_for_classes(folder):
    (folder / "labels").mkdir()
    lines = [
        f"{number} " + " ".join(map(str, (np.reshape(points, (-1, 2)) / (COLS, ROWS)).ravel()))
        for number, points in ((0, SPALL_XY), (3, CRACK_XY))
    ]
    (folder / "labels/a.txt").write_text("\n".join([*lines, "3 0.5 0.5 0.1 0.1", ""]))

    with pytest.raises(InputError, match=r"labels/a.txt: its classes are 0, 3; say which is crack"):
        find_sets(folder)
    wanted = MaskValues(parse_values("--mask-crack", "3"))
    (item,) = find_sets(folder, mask_values=wanted)[0].photographs

    assert np.array_equal(item.label_values() > 0, CRACK)


def test_a_line_is_one_pixel_wide(folder):
    write_cvat_mask(folder)

    wanted = MaskValues(parse_values("--mask-crack", "spall"))
    (item,) = find_sets(folder, mask_values=wanted)[0].photographs

    assert np.argwhere(item.label_values()).tolist() == [[1, 1], [1, 2], [1, 3], [1, 4]]


def test_annotations_that_cannot_be_used_are_refused(folder):
    path = folder / "annotations.json"
    for content, message in (
        ('{"images": [], "annotations": [', "not readable JSON"),
        ('{"images": [{}], "annotations": []}', "not readable annotations .KeyError: 'height'"),
        ('{"images": [], "annotations": []}', "no outlines; label cracks as polygons, lines"),
        (json.dumps(coco({"size": [ROWS, COLS], "counts": [5, 9000]})), ".*runs of 9005 pixels"),
        (json.dumps(coco({"size": [ROWS, COLS], "counts": [5, 10**30]})), ".*runs of 10{29}5 pix"),
        (json.dumps(coco({"size": [10**7, 10**7], "counts": [5]})), ".*a mask of .10000000, 100"),
        (
            json.dumps(coco(CRACK_XY)).replace('"height": 40', '"height": 80'),
            "its labels are for 50 x 80 px, but the photograph has 50 x 40 px",
        ),
    ):
        path.write_text(content)
        with pytest.raises(InputError, match=rf"annotations.json: {message}"):
            find_sets(folder)


def test_other_files_beside_photographs_are_no_annotations(folder):
    (folder / "notes.json").write_text('{"by": "me"}')

    with pytest.raises(InputError, match="no labelled photographs; put photographs into images/"):
        find_sets(folder)


def test_the_labels_of_a_photograph_may_be_in_several_files(folder):
    upper, lower = [10, 10, 22, 10, 22, 14, 10, 14], [10, 14, 22, 14, 22, 20, 10, 20]
    for number, part in enumerate((upper, lower)):
        content = coco(part)
        del content["annotations"][1]
        (folder / f"{number}.json").write_text(json.dumps(content))

    (item,) = find_sets(folder)[0].photographs

    assert np.array_equal(item.label_values() > 0, CRACK)


def test_labels_of_two_photographs_of_one_name_are_refused(folder):
    content = coco(CRACK_XY)
    content["images"].append({**content["images"][0], "id": 8, "file_name": "piers/a.jpg"})
    (folder / "annotations.json").write_text(json.dumps(content))

    with pytest.raises(InputError, match=r"walls/a\.jpg and piers/a\.jpg differ in no more than"):
        find_sets(folder)


def test_a_list_of_class_names_is_no_photograph(folder):
    (folder / "labels").mkdir()
    corners = " ".join(map(str, (np.reshape(CRACK_XY, (-1, 2)) / (COLS, ROWS)).ravel()))
    (folder / "labels/a.txt").write_text(f"0 {corners}")
    (folder / "labels/classes.txt").write_text("crack in a wall\n")

    (item,) = find_sets(folder)[0].photographs

    assert np.array_equal(item.label_values() > 0, CRACK)
