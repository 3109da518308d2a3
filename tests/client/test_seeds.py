import pytest
from hypothesis import given
from hypothesis import strategies as st

from gannet_client import UsageError
from gannet_client.seeds import parse_seeds

int64s = st.integers(-(2**63), 2**63 - 1)
ranges = st.tuples(int64s, st.integers(0, 50)).map(lambda pair: (pair[0], min(pair[0] + pair[1], 2**63 - 1)))


@given(st.lists(ranges, min_size=1, max_size=8))
def test_ranges_are_read_in_their_order(ranges: list[tuple[int, int]]) -> None:
    text = ",".join(f"{first}-{last}" if last > first else str(first) for first, last in ranges)
    assert parse_seeds(text) == [seed for first, last in ranges for seed in range(first, last + 1)]


@pytest.mark.parametrize(
    ("text", "seeds"),
    [
        ("7", [7]),
        ("-7", [-7]),
        ("0-3,7,10-12", [0, 1, 2, 3, 7, 10, 11, 12]),
        ("-2-1", [-2, -1, 0, 1]),
        ("-5--3", [-5, -4, -3]),
        (" 1 - 2 , 2 ", [1, 2, 2]),
    ],
)
def test_the_forms_of_the_manual(text: str, seeds: list[int]) -> None:
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a form like"),
        ("1,,2", "expected a form like"),
        ("1-2-3", "expected a form like"),
        ("1.5", r"cannot be read at '1\.5'"),
        ("a", "cannot be read at 'a'"),
        ("²", "cannot be read"),
        ("3-1", "runs backwards"),
        ("0-99999999999999999999", "cannot be read"),
        ("9223372036854775808", "seed must be an integer from"),
        ("0-100000", "more than 100000 images"),
        ("-9223372036854775808-9223372036854775807", "more than 100000 images"),
    ],
)
def test_anything_else_is_a_clear_usage_error(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        parse_seeds(text)
    assert "\n" not in str(caught.value)


def test_the_limit_counts_all_ranges_together() -> None:
    assert len(parse_seeds("0-4,0-4", limit=10)) == 10
    with pytest.raises(UsageError, match="more than 9 images"):
        parse_seeds("0-4,0-4", limit=9)
