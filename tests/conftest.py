"""What every test shares: the golden set, loaded once, and quiet frameworks."""

import os

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
