"""Severity: grades follow the measured widths and their uncertainty, and have caveats."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from crackcli.cracks.widths import Widths
from crackcli.errors import InputError, UsageError
from crackcli.report.severity import (
    EXCEEDED,
    NOT_EXCEEDED,
    POSSIBLY,
    find_profiles,
    grade,
    shipped_profiles,
    worst,
)
from crackcli.report.tables.severity_columns import (
    caveats,
    crack_columns,
    crack_grades,
    grade_crack,
    nested,
    profile_rows,
    scene_columns,
    scene_grades,
    unc_in_mm,
)
from crackcli.scenes.scale import Scale

USER = """
[contract-7]
title = "Our contract"
clause = "specification 7.3"
source = "the client"
caveat = "Seal, do not inject."
classes = [
    { class = "ok", label = "leave" },
    { class = "seal", label = "to be sealed", above_mm = 0.2 },
    { class = "report", label = "ask", above_mm = 1 },
]
"""


def crack(width_px, sigma_px, method="photometric"):
    """The part of a crack that is graded."""
    widths = Widths(width_px, width_px, width_px, width_px, (0.0, 0.0), method, 0.0, 0.0)
    sigmas = {f"{name}_sigma_px": sigma_px for name in ("mean", "median", "p95", "max")}
    return SimpleNamespace(id="wall-0001", widths=replace(widths, **sigmas))


def own(tmp_path, text=USER):
    path = tmp_path / "limits.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", list(shipped_profiles()))
def test_every_shipped_profile_has_a_source_and_a_caveat(name):
    profile = shipped_profiles()[name]

    assert min(map(len, (profile.title, profile.clause, profile.source))) > 10
    assert len(profile.caveat) > 40
    assert profile.limits_mm == sorted(profile.limits_mm)
    columns = crack_columns((profile,)) | scene_columns((profile,))
    assert max(map(len, columns)) <= 31


def test_no_two_shipped_profiles_share_a_column():
    columns = [profile.column for profile in shipped_profiles().values()]

    assert len(set(columns)) == len(columns)


@pytest.mark.parametrize(
    ("name", "limits_mm"),
    [
        ("en1992-xc1", [0.4]),
        ("en1992-xc3", [0.3]),
        ("en1992-xs2", [0.3]),
        ("en1992-xc4-prestressed", [0.2]),
        ("aci224-dry", [0.41]),
        ("aci224-deicing", [0.18]),
        ("aci224-water-retaining", [0.1]),
        ("burland", [0.1, 1, 5, 15, 25]),
        ("d6433-ac", [10, 75]),
        ("d6433-pcc-corner", [13, 50]),
        ("d5340-ac", [6]),
    ],
)
def test_limits_are_those_of_the_standards(name, limits_mm):
    assert shipped_profiles()[name].limits_mm == limits_mm


def test_profiles_that_were_not_verified_are_not_shipped():
    assert not [
        name for name in shipped_profiles() if name.startswith(("osim", "mbei", "en1992-xd3"))
    ]
    assert "en1992-xd1-prestressed" not in shipped_profiles()


def test_a_limit_is_exceeded_only_beyond_the_uncertainty():
    profile = shipped_profiles()["en1992-xc3"]
    statuses = {
        width: grade(profile, width, 0.05, certain=True).status
        for width in (0.2, 0.249, 0.251, 0.3, 0.349, 0.351)
    }

    assert list(statuses.values()) == [
        NOT_EXCEEDED,
        NOT_EXCEEDED,
        POSSIBLY,
        POSSIBLY,
        POSSIBLY,
        EXCEEDED,
    ]


def test_a_grade_has_its_excess_in_millimetres_and_in_uncertainties():
    found = grade(shipped_profiles()["en1992-xc3"], 0.45, 0.05, certain=True)

    assert (found.name, found.limit_mm) == ("over", 0.3)
    assert found.exceed_mm == pytest.approx(0.15)
    assert found.exceed_sigma == pytest.approx(3)


@pytest.mark.parametrize(("sigma", "certain"), [(None, True), (0.001, False), (None, False)])
def test_an_uncertain_width_exceeds_a_limit_at_most_possibly(sigma, certain):
    found = grade(shipped_profiles()["burland"], 9.0, sigma, certain=certain)

    assert (found.name, found.status) == ("3", POSSIBLY)


@pytest.mark.parametrize("name", ["burland", "d6433-ac", "en1992-xc3"])
def test_a_wider_or_less_certain_crack_is_never_in_a_milder_class(name):
    profile = shipped_profiles()[name]
    rng = np.random.default_rng(1)
    for width, more, sigma, more_unc in rng.uniform(0, 30, (200, 4)):
        ranks = [
            profile.rank(grade(profile, w, u, certain=True).name)
            for w, u in ((width, sigma), (width + more, sigma), (width, sigma + more_unc))
        ]
        assert ranks[0] <= min(ranks[1:])


def test_the_limit_of_a_grade_is_that_of_its_class():
    profile = shipped_profiles()["burland"]
    for width in np.linspace(0, 40, 157):
        found = grade(profile, width, 0.7, certain=True)
        one = profile.classes[profile.rank(found.name)]
        if found.status == NOT_EXCEEDED:
            assert one is profile.classes[0]
        else:
            assert found.limit_mm == one.above_mm
            assert (found.status == EXCEEDED) == (width - 0.7 > one.above_mm)


def test_a_width_of_the_mask_exceeds_a_limit_at_most_possibly():
    scale = Scale(1.0, 0.0, "option")
    profile = shipped_profiles()["burland"]

    assert grade_crack(profile, crack(9, 0.1), scale).status == EXCEEDED
    assert grade_crack(profile, crack(9, 0.1, "area_length"), scale).status == POSSIBLY


def test_a_crack_that_is_not_measurable_exceeds_a_limit_at_most_possibly():
    scale, profile = Scale(1.0, 0.0, "option"), shipped_profiles()["burland"]
    statuses = [
        grade_crack(profile, crack(9, 0.1), scale, one).status for one in (True, None, False)
    ]

    row = crack_grades(crack(9, 0.1), scale, (profile,), measurable=False)
    scene = scene_grades([crack(9, 0.1), crack(3, 0.1)], scale, (profile,), [False, True])

    assert statuses == [EXCEEDED, EXCEEDED, POSSIBLY]
    assert row["sev_burland_status"] == POSSIBLY
    assert (scene["sev_burland_max_status"], scene["sev_burland_n_possibly"]) == (POSSIBLY, 1)


def test_a_grade_includes_the_uncertainty_of_the_scale():
    profile = shipped_profiles()["en1992-xc3"]
    sharp, coarse = Scale(0.1, None, "crs"), Scale(0.1, 0.025, "exif")

    assert grade_crack(profile, crack(4, 0.5), sharp).status == EXCEEDED
    assert grade_crack(profile, crack(4, 0.5), coarse).status == POSSIBLY
    assert unc_in_mm(0.5, 4, coarse) == pytest.approx(np.hypot(0.05, 0.1))


def test_each_profile_grades_its_own_kind_of_width():
    widths = Widths(5, 4, 11, 12, (0, 0), "photometric", 0, 0, 0.1, 0.1, 0.1, 0.1)
    wide = SimpleNamespace(widths=widths)
    scale = Scale(1.0, None, "option")

    assert grade_crack(shipped_profiles()["d5340-ac"], wide, scale).name == "L"  # by its mean
    assert grade_crack(shipped_profiles()["d6433-ac"], wide, scale).name == "M"  # by its maximum


def test_without_a_scale_there_are_no_grades():
    profiles = find_profiles(["burland", "en1992-xc3"])

    assert set(crack_grades(crack(9, 0.1), None, profiles).values()) == {None}
    assert set(scene_grades([crack(9, 0.1)], None, profiles).values()) == {None}


def test_a_scene_has_its_worst_class_and_counts_all_cracks():
    profiles = find_profiles(["burland"])
    cracks = [crack(width, 0.1) for width in (0.02, 3, 4.95, 7, 7)]

    row = scene_grades(cracks, Scale(1.0, None, "option"), profiles)

    assert (row["severity_max_burland"], row["sev_burland_max_status"]) == ("3", EXCEEDED)
    assert [row[f"sev_burland_n_{n}"] for n in range(6)] == [0, 1, 1, 3, 0, 0]
    assert row["sev_burland_n_possibly"] == 2  # 0.02 may exceed 0.1, 4.95 may exceed 5
    assert worst(profiles[0], []) is None


def test_geojson_has_the_grades_in_one_member():
    profiles = find_profiles(["burland"])
    row = {"crack_id": "a"} | crack_grades(crack(9, 0.1), Scale(1.0, None, "crs"), profiles)

    (found,) = nested([row], profiles)

    assert list(found) == ["crack_id", "severity"]
    assert found["severity"]["burland"]["class"] == "3"
    assert nested([{"crack_id": "a"}], ()) == [{"crack_id": "a"}]


def test_own_limits_are_read_from_a_file(tmp_path):
    path = own(tmp_path)

    by_user, by_name = find_profiles([f"user={path}"]), find_profiles([str(path)])

    assert by_user == by_name
    assert by_user[0].limits_mm == [0.2, 1]
    assert profile_rows(by_user)[0]["caveat"] in caveats(by_user)


def test_a_caveat_may_have_several_lines(tmp_path):
    text = USER.replace('"Seal, do not inject."', '"""Seal,\ndo not inject."""')

    (profile,) = find_profiles([str(own(tmp_path, text))])

    assert profile.caveat == "Seal,\ndo not inject."


def test_a_profile_given_twice_is_used_once(tmp_path):
    path = own(tmp_path)

    assert len(find_profiles(["burland", "burland", str(path), f"user={path}"])) == 2


def test_two_profiles_of_one_name_are_refused(tmp_path):
    path = own(tmp_path, USER.replace("contract-7", "burland"))

    with pytest.raises(UsageError, match="--severity: two profiles are named 'burland'"):
        find_profiles(["burland", str(path)])


def test_the_error_for_an_unknown_profile_lists_the_known_ones():
    with pytest.raises(
        UsageError, match=r"--severity ec2: unknown profile; use .*en1992-xc3.*burland"
    ):
        find_profiles(["ec2"])


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("[contract-7]", "[contract-7", "cannot be read as severity profiles"),
        (USER, "", "contains no severity profile"),
        ("[contract-7]\n", "", "is not a table"),
        ("contract-7", "Contract_7", "is not a valid name"),
        ('caveat = "Seal, do not inject."', "", "lacks caveat"),
        ('source = "the client"', "source = 3", "lacks source"),
        ("clause", "clauses", "has unknown keys: clauses"),
        ('title = "Our contract"', 'title = "a"\nwidth = "widest"', "by width 'widest'.* max, p95"),
        ("contract-7", "contract-number-seven", "a column of at most 14 characters"),
        ("above_mm = 1 }", "above_mm = 0.1 }", "class 3 needs above_mm in mm, more than 0.2"),
        ("above_mm = 1 }", 'above_mm = "1 mm" }', "class 3 needs above_mm"),
        ("above_mm = 1 }", "above_mm = nan }", "class 3 needs above_mm"),
        ("above_mm = 1 }", f"above_mm = 1{400 * '0'} }}", "class 3 needs above_mm"),
        (
            'title = "Our contract"',
            'title = "a"\nwidth = ["max"]',
            r"by width '\['max'\]'.* max, p95",
        ),
        ("[contract-7]", f"a = {'[' * 3000}", "cannot be read as severity profiles"),
        (", above_mm = 1 }", " }", "class 3 needs above_mm"),
        ('label = "leave"', 'label = "leave", above_mm = 0', "class 1 .* has no above_mm"),
        ('class = "seal"', 'class = "OK"', "class 2 is named 'OK' like another"),
        ('class = "seal"', 'class = "to be sealed"', "class 2 needs a class of at most 10"),
        ('label = "ask"', 'label = ""', "class 3 lacks a label"),
        ('label = "ask"', r'label = "a\u001b[31m"', "class 3 has control characters in its label"),
        ('label = "ask"', r'label = "a\nb"', "class 3 has control characters in its label"),
        ('source = "the client"', r'source = "the\u0007"', "has control characters in source"),
        ('label = "ask"', 'label = "ask", below = 3', "class 3 has unknown keys: below"),
    ],
)
def test_the_error_for_an_invalid_file_says_what_is_wrong(tmp_path, old, new, words):
    assert old in USER

    with pytest.raises(InputError, match=rf"limits\.toml.*{words}"):
        find_profiles([f"user={own(tmp_path, USER.replace(old, new))}"])


def test_the_error_for_a_missing_file_names_it(tmp_path):
    with pytest.raises(InputError, match=r"none\.toml: cannot be read as .*No such file"):
        find_profiles([f"user={tmp_path / 'none.toml'}"])
