"""Licences as typed and as stored, and the sources that a model learnt from."""

from dataclasses import asdict

import pytest

from crackcli.errors import UsageError
from crackcli.licences import Licence, Source, merge_sources, read_sources


def test_a_licence_is_a_name_and_after_a_colon_what_it_allows():
    assert Licence.parse("CC BY 4.0: any use: also commercial", "by Ann") == Licence(
        "CC BY 4.0", "any use: also commercial", "by Ann"
    )
    assert Licence.parse("MIT") == Licence("MIT")


@pytest.mark.parametrize("text", ["", " ", ": any use"])
def test_a_licence_without_a_name_is_refused(text):
    with pytest.raises(UsageError, match=r"^--licence '.*': has no name; give a short one"):
        Licence.parse(text)


def test_a_licence_and_sources_are_read_as_they_were_stored():
    licence, sources = Licence("MIT", "any use"), (Source("walls", 3, "MIT", "Ann"),)

    assert Licence.read(asdict(licence)) == licence
    assert read_sources([asdict(source) for source in sources]) == sources


def test_older_files_state_neither():
    assert str(Licence.read(None)) == "licence not stated"
    assert not Licence.read(None)
    assert read_sources(None) == ()


def test_photographs_that_are_learnt_from_again_count_once():
    first, again, other = Source("a", 5, "MIT"), Source("a", 7, "MIT"), Source("a", 2, "CC0")

    assert merge_sources([first, other, again]) == (again, other)
