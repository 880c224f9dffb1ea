"""What every test shares: the golden set, loaded once, and quiet frameworks."""

import os
from collections.abc import Iterator

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import pytest

from conformance.case import Case
from conformance.golden import GoldenSet, load


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
