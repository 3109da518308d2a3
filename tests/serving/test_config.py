"""Which versions a policy wants, and which models a directory adds."""

import shutil
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from gannet_serving.config import VersionPolicy
from gannet_serving.sources import Directory

NUMBERS = st.frozensets(st.integers(-3, 12), max_size=8)
POLICIES = st.builds(VersionPolicy, st.none() | st.integers(1, 4), st.none() | NUMBERS)


@given(POLICIES, NUMBERS, NUMBERS)
def test_a_policy_wants_the_highest_that_may_be_and_stand_ins_for_the_broken(
    policy: VersionPolicy, found: frozenset[int], broken: frozenset[int]
) -> None:
    wanted = policy.wanted(found, broken)
    may_be = found if policy.only is None else found & policy.only
    assert wanted == sorted(may_be, reverse=True)[: len(wanted)]
    whole = [number for number in wanted if number not in broken]
    assert policy.most is None or len(whole) <= policy.most
    left = may_be - set(wanted)
    assert not left or len(whole) == policy.most


def test_a_directory_adds_what_is_new_to_whatever_is_configured(tmp_path: Path) -> None:
    source = Directory(tmp_path)
    for name in ("a", "b"):
        (tmp_path / name / "1").mkdir(parents=True)
    assert source.read({}).keys() == {"a", "b"}
    (tmp_path / "c" / "1").mkdir(parents=True)
    current = source.read({})
    assert current.keys() == {"c"}
    shutil.rmtree(tmp_path / "a")
    assert source.read(current) == current
    (tmp_path / "a" / "1").mkdir(parents=True)
    assert source.read(current).keys() == {"a", "c"}
