"""What every test shares: the golden set, loaded once, and quiet frameworks."""

import os
from collections.abc import Iterator

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import pytest

from conformance.case import Case
from conformance.golden import GoldenSet, load

LONGEST_FIRST = (
    "test_diagnosis_float32",
    "test_diagnosis_float64",
    "test_shipped",
    "test_right_losses",
    "test_shards",
    "test_liars",
    "test_study_arms",
    "test_request",
    "test_docs",
    "test_tensorflow_losses",
)
"""Files that take minutes: one of them at the end would leave the other cores idle."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the files; the tests of each stay as they are."""
    places = {name: place for place, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(places)))


@pytest.fixture(scope="session")
def golden() -> GoldenSet:
    return load()


@pytest.fixture(scope="session")
def case_of(golden: GoldenSet) -> dict[str, Case]:
    return {case.question.case_id: case for case in golden.cases}


@pytest.fixture
def strict_promotion() -> Iterator[None]:
    """JAX refuses to mix dtypes or ranks."""
    import jax

    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        yield
