"""Severity: what is graded is what is measured, no surer than it was measured, with its caveat."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from crackcli.cracks.widths import Widths
from crackcli.errors import InputError, UsageError
from crackcli.report.severity import EXCEEDED, NOT, POSSIBLY, find_profiles, grade, shipped, worst
from crackcli.report.severity_columns import (
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
    """Of a crack what is graded."""
    widths = Widths(width_px, width_px, width_px, width_px, (0.0, 0.0), method, 0.0, 0.0)
    sigmas = {f"{name}_sigma_px": sigma_px for name in ("mean", "median", "p95", "max")}
    return SimpleNamespace(widths=replace(widths, **sigmas))


def own(tmp_path, text=USER):
    path = tmp_path / "limits.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", list(shipped()))
def test_every_shipped_profile_says_where_it_is_from_and_what_it_is_not(name):
    profile = shipped()[name]

    assert min(map(len, (profile.title, profile.clause, profile.source))) > 10
    assert len(profile.caveat) > 40
    assert profile.limits_mm == sorted(profile.limits_mm)
    columns = crack_columns((profile,)) | scene_columns((profile,))
    assert max(map(len, columns)) <= 31


def test_no_two_shipped_profiles_share_a_column():
    columns = [profile.column for profile in shipped().values()]

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
    assert shipped()[name].limits_mm == limits_mm


def test_what_was_not_verified_is_not_shipped():
    assert not [name for name in shipped() if name.startswith(("osim", "mbei", "en1992-xd3"))]
    assert "en1992-xd1-prestressed" not in shipped()


def test_a_limit_is_exceeded_only_beyond_the_uncertainty():
    profile = shipped()["en1992-xc3"]
    statuses = {
        width: grade(profile, width, 0.05, sure=True).status
        for width in (0.2, 0.249, 0.251, 0.3, 0.349, 0.351)
    }

    assert list(statuses.values()) == [NOT, NOT, POSSIBLY, POSSIBLY, POSSIBLY, EXCEEDED]


def test_a_grade_tells_by_how_much_in_millimetres_and_in_uncertainties():
    found = grade(shipped()["en1992-xc3"], 0.45, 0.05, sure=True)

    assert (found.name, found.limit_mm) == ("over", 0.3)
    assert found.exceed_mm == pytest.approx(0.15)
    assert found.exceed_sigma == pytest.approx(3)


@pytest.mark.parametrize(("sigma", "sure"), [(None, True), (0.001, False), (None, False)])
def test_what_is_unsure_exceeds_nothing_for_certain(sigma, sure):
    found = grade(shipped()["burland"], 9.0, sigma, sure=sure)

    assert (found.name, found.status) == ("3", POSSIBLY)


@pytest.mark.parametrize("name", ["burland", "d6433-ac", "en1992-xc3"])
def test_a_wider_or_less_sure_crack_is_never_in_a_lesser_class(name):
    profile = shipped()[name]
    rng = np.random.default_rng(1)
    for width, more, sigma, less_sure in rng.uniform(0, 30, (200, 4)):
        ranks = [
            profile.rank(grade(profile, w, u, sure=True).name)
            for w, u in ((width, sigma), (width + more, sigma), (width, sigma + less_sure))
        ]
        assert ranks[0] <= min(ranks[1:])


def test_the_class_names_the_limit_that_its_status_speaks_of():
    profile = shipped()["burland"]
    for width in np.linspace(0, 40, 157):
        found = grade(profile, width, 0.7, sure=True)
        one = profile.classes[profile.rank(found.name)]
        if found.status == NOT:
            assert one is profile.classes[0]
        else:
            assert found.limit_mm == one.above_mm
            assert (found.status == EXCEEDED) == (width - 0.7 > one.above_mm)


def test_a_width_of_the_mask_is_possible_at_most():
    scale = Scale(1.0, 0.0, "option")
    profile = shipped()["burland"]

    assert grade_crack(profile, crack(9, 0.1), scale).status == EXCEEDED
    assert grade_crack(profile, crack(9, 0.1, "area_length"), scale).status == POSSIBLY


def test_what_is_not_measurable_is_possible_at_most():
    scale, profile = Scale(1.0, 0.0, "option"), shipped()["burland"]
    statuses = [
        grade_crack(profile, crack(9, 0.1), scale, one).status for one in (True, None, False)
    ]

    row = crack_grades(crack(9, 0.1), scale, (profile,), measurable=False)
    scene = scene_grades([crack(9, 0.1), crack(3, 0.1)], scale, (profile,), [False, True])

    assert statuses == [EXCEEDED, EXCEEDED, POSSIBLY]
    assert row["sev_burland_status"] == POSSIBLY
    assert (scene["sev_burland_max_status"], scene["sev_burland_n_possibly"]) == (POSSIBLY, 1)


def test_a_grade_includes_the_uncertainty_of_the_scale():
    profile = shipped()["en1992-xc3"]
    sharp, coarse = Scale(0.1, None, "crs"), Scale(0.1, 0.025, "exif")

    assert grade_crack(profile, crack(4, 0.5), sharp).status == EXCEEDED
    assert grade_crack(profile, crack(4, 0.5), coarse).status == POSSIBLY
    assert unc_in_mm(0.5, 4, coarse) == pytest.approx(np.hypot(0.05, 0.1))


def test_each_profile_grades_the_width_that_it_names():
    widths = Widths(5, 4, 11, 12, (0, 0), "photometric", 0, 0, 0.1, 0.1, 0.1, 0.1)
    wide = SimpleNamespace(widths=widths)
    scale = Scale(1.0, None, "option")

    assert grade_crack(shipped()["d5340-ac"], wide, scale).name == "L"  # by its mean
    assert grade_crack(shipped()["d6433-ac"], wide, scale).name == "M"  # by its maximum


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


def test_a_caveat_may_be_of_several_lines(tmp_path):
    text = USER.replace('"Seal, do not inject."', '"""Seal,\ndo not inject."""')

    (profile,) = find_profiles([str(own(tmp_path, text))])

    assert profile.caveat == "Seal,\ndo not inject."


def test_a_profile_asked_for_twice_is_there_once(tmp_path):
    path = own(tmp_path)

    assert len(find_profiles(["burland", "burland", str(path), f"user={path}"])) == 2


def test_a_name_that_is_taken_is_refused(tmp_path):
    path = own(tmp_path, USER.replace("contract-7", "burland"))

    with pytest.raises(UsageError, match="two severity profiles are named 'burland'"):
        find_profiles(["burland", str(path)])


def test_an_unknown_profile_is_answered_with_the_menu():
    with pytest.raises(UsageError, match=r"'ec2' is no severity profile; .*en1992-xc3.*burland"):
        find_profiles(["ec2"])


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("[contract-7]", "[contract-7", "cannot be read as severity profiles"),
        (USER, "", "holds no severity profile"),
        ("[contract-7]\n", "", "is no table"),
        ("contract-7", "Contract_7", "is no name"),
        ('caveat = "Seal, do not inject."', "", "lacks caveat"),
        ('source = "the client"', "source = 3", "lacks source"),
        ("clause", "clauses", "not known: clauses"),
        ('title = "Our contract"', 'title = "a"\nwidth = "widest"', "by width 'widest'.* max, p95"),
        ("contract-7", "contract-number-seven", "a column of 14 characters"),
        ("above_mm = 1 }", "above_mm = 0.1 }", "class 3 needs above_mm, .* more than 0.2"),
        ("above_mm = 1 }", 'above_mm = "1 mm" }', "class 3 needs above_mm"),
        ("above_mm = 1 }", "above_mm = nan }", "class 3 needs above_mm"),
        (", above_mm = 1 }", " }", "class 3 needs above_mm"),
        ('label = "leave"', 'label = "leave", above_mm = 0', "class 1 .* has no above_mm"),
        ('class = "seal"', 'class = "OK"', "class 2 is named 'OK' like another"),
        ('class = "seal"', 'class = "to be sealed"', "class 2 needs a class of 10"),
        ('label = "ask"', 'label = ""', "class 3 lacks a label"),
        ('label = "ask"', r'label = "a\u001b[31m"', "class 3 has control characters in its label"),
        ('label = "ask"', r'label = "a\nb"', "class 3 has control characters in its label"),
        ('source = "the client"', r'source = "the\u0007"', "has control characters in source"),
        ('label = "ask"', 'label = "ask", below = 3', "class 3 has keys .* below"),
    ],
)
def test_a_file_of_limits_that_is_wrong_says_what_is(tmp_path, old, new, words):
    assert old in USER

    with pytest.raises(InputError, match=rf"limits\.toml.*{words}"):
        find_profiles([f"user={own(tmp_path, USER.replace(old, new))}"])


def test_a_file_of_limits_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.toml cannot be read .*No such file"):
        find_profiles([f"user={tmp_path / 'none.toml'}"])
