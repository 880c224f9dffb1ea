"""The generator against the published known-answer vectors of Philox4x32-10 (Random123)."""

import pytest

from fixtures.generator import integers, philox

ALL_ONES = 0xFFFFFFFF


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((ALL_ONES,) * 4, (ALL_ONES,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
    ids=["zeros", "ones", "pi"],
)
def test_philox_gives_the_published_words(
    counter: tuple[int, int, int, int], key: tuple[int, int], expected: tuple[int, int, int, int]
) -> None:
    assert philox(counter, key) == expected


def test_integers_stay_in_range_and_reach_both_ends() -> None:
    drawn = integers(7, 4000, 3, 9)
    assert set(drawn) == set(range(3, 10))


def test_a_longer_draw_begins_with_the_shorter_one() -> None:
    assert integers(1, 10, 0, 255) == integers(1, 50, 0, 255)[:10]
    assert integers(1, 10, 0, 255) != integers(2, 10, 0, 255)
