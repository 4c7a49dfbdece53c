"""Photographs are found in folders by one rule; what is skipped is counted by kind."""

import os

import cv2
import numpy as np
import pytest

from crackcli.errors import InputError
from crackcli.rasters.access.folders import describe, list_folder, rows


def fill(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def found(folder, **options):
    listing = list_folder(folder, **options)
    kinds = {
        kind: sorted(path.relative_to(folder).as_posix() for path in paths)
        for kind, paths in listing.skipped.items()
    }
    return [path.relative_to(folder).as_posix() for path in listing.photographs], kinds


def test_subfolders_are_searched_after_the_files(tmp_path):
    fill(tmp_path, "b.jpg", "day 1/100MEDIA/DJI_0001.JPG", "a.png", "day 1/z.tif")

    photographs, skipped = found(tmp_path)

    assert photographs == ["a.png", "b.jpg", "day 1/z.tif", "day 1/100MEDIA/DJI_0001.JPG"]
    assert skipped == {}
    assert found(tmp_path, recurse=False) == (["a.png", "b.jpg"], {"subfolders": ["day 1"]})


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("._wall.jpg", "hidden files"),
        (".DS_Store", "hidden files"),
        ("Thumbs.db", "files of the system"),
        ("notes.txt", ".txt files"),
        ("DJI_0001.MOV", ".mov files"),
        ("README", "files without a suffix"),
        ("wall.CR2", "camera raw beside its photograph"),
        ("wall.xmp", "side files"),
        ("wall.jpg.aux.xml", "side files"),
        ("wall.jgw", "side files"),
        ("DJI_0001.MRK", "side files"),
        ("wall_mask.png", "masks"),
        ("WALL_MASK.JPG", "masks"),
        ("wall.exclude.png", "masks"),
        ("@eaDir/wall.jpg/SYNOPHOTO_THUMB_XL.jpg", "folders of the system"),
        (".@__thumb/s800wall.jpg", "folders of the system"),
        ("__MACOSX/._wall.jpg", "folders of the system"),
        ("thumbnails/wall.jpg", "folders of thumbnails"),
        (".git/wall.jpg", "hidden folders"),
        ("masks/wall.png", "folders of masks"),
        ("model.curve.png", "results of crackcli"),
    ],
)
def test_what_is_no_photograph_has_a_kind(tmp_path, name, kind):
    fill(tmp_path, "wall.jpg", name)

    photographs, skipped = found(tmp_path)

    assert photographs == ["wall.jpg"]
    assert skipped == {kind: [name.split("/")[0]]}


def test_a_mask_without_its_photograph_is_a_photograph(tmp_path):
    fill(tmp_path, "gas_mask.jpg", "wall-7.png", "wall.jpg")

    assert found(tmp_path) == (["gas_mask.jpg", "wall-7.png", "wall.jpg"], {})


def test_results_among_photographs_are_no_photographs(tmp_path):
    fill(tmp_path, "run.json", "cracks.gpkg", "scenes.csv", "wall.jpg")
    fill(tmp_path / "wall", "scene.json", "mask.tif", "score.tif", "overview.png")
    fill(tmp_path / "tested", "selftest.json", "overlay.png", "pod.png", "pod-of-peas.png")
    fill(tmp_path / "mine.mined", "mined.json", "no_crack/wall_r0c0.png")

    photographs, skipped = found(tmp_path)

    assert photographs == ["wall.jpg", "tested/pod-of-peas.png"]
    assert skipped["results of crackcli"] == [
        *("cracks.gpkg", "mine.mined", "run.json", "scenes.csv"),
        *("tested/overlay.png", "tested/pod.png", "wall"),
    ]


def test_a_folder_that_a_shell_may_have_named_is_skipped_by_its_name(tmp_path):
    """It names all of them where the user typed an asterisk."""
    fill(tmp_path, "@eaDir/wall.jpg/SYNOPHOTO_THUMB_XL.jpg", "masks/wall.png", "out/wall.png")

    for name in ("@eaDir", "masks", "out"):
        listing = list_folder(tmp_path / name, results=tmp_path / "out", chosen=False)
        assert (listing.photographs, listing.empty) == ([], False)
    assert list_folder(tmp_path / "@eaDir").photographs == []
    assert list_folder(tmp_path / "masks").photographs == [tmp_path / "masks/wall.png"]
    own = list_folder(tmp_path / "out", results=tmp_path / "out")
    assert own.photographs == [tmp_path / "out/wall.png"]


@pytest.mark.parametrize(("side", "tiles"), [(256, True), (512, True), (300, False)])
def test_the_tiles_of_a_map_are_no_photographs(tmp_path, side, tiles):
    """A survey may lie in folders of months and days."""
    path = tmp_path / "orthophoto_tiles/17/68012/45001.png"
    path.parent.mkdir(parents=True)
    cv2.imwrite(str(path), np.zeros((side, side, 3), np.uint8))
    fill(tmp_path, "11/05/0001.jpg", "odm_orthophoto.tif")

    photographs, skipped = found(tmp_path)

    assert "11/05/0001.jpg" in photographs
    kind = {"folders of map tiles": ["orthophoto_tiles/17/68012"]}
    assert skipped == (kind if tiles else {})


def test_links_that_lead_round_in_a_circle_end(tmp_path):
    fill(tmp_path, "a/wall.jpg")
    (tmp_path / "a/again").symlink_to(tmp_path / "a", target_is_directory=True)
    (tmp_path / "a/up").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "a/itself").symlink_to(tmp_path / "a/itself")

    photographs, skipped = found(tmp_path)

    assert photographs == ["a/wall.jpg"]
    assert skipped == {"files without a suffix": ["a/itself"]}


def test_a_subfolder_that_cannot_be_read_is_told_and_the_others_are_searched(tmp_path, monkeypatch):
    fill(tmp_path, "a/wall.jpg", "b/wall.jpg")
    scandir = os.scandir

    def refuse(folder):
        if folder == tmp_path / "a":
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    listing = list_folder(tmp_path)

    assert listing.photographs == [tmp_path / "b/wall.jpg"]
    assert [str(error) for error in listing.unreadable.values()] == [
        f"{tmp_path / 'a'}: cannot be read (Permission denied); change its permissions"
    ]
    with pytest.raises(InputError, match="a: cannot be read"):
        list_folder(tmp_path / "a")


def test_skipped_files_are_counted_with_the_first_names(tmp_path):
    fill(tmp_path, *(f"{number}.txt" for number in range(9)), "._a.jpg")

    skipped = list_folder(tmp_path).skipped

    assert list(describe(skipped)) == [
        ".txt files: 9 (0.txt, 1.txt, 2.txt, ...)",
        "hidden files: 1 (._a.jpg)",
    ]
    assert [(row.kind, row.count, len(row.first)) for row in rows(skipped)] == [
        (".txt files", 9, 5),
        ("hidden files", 1, 1),
    ]
