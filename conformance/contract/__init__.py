"""The contract as data: every sentence of the reference's docstrings, and what no longer passes when it is not true."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from conformance.contract.beyond import BEYOND
from conformance.contract.clause import Clause
from conformance.contract.evaluation import ALONE, CALL, DIFFERENTIATED, EVALUATE, EVALUATION
from conformance.contract.l2_mae import L2_MAE
from conformance.contract.mae import INTENSITY_SCALE, MAE
from conformance.contract.poisson import NLL

CONTRACT = {
    "amplitude_l2_mae": L2_MAE,
    "amplitude_mae": MAE,
    "poisson_nll": NLL,
    "intensity_scale": INTENSITY_SCALE,
    "evaluate": EVALUATE,
    "Differentiated": DIFFERENTIATED,
    "Differentiated.__call__": CALL,
    "Differentiated.value": ALONE,
    "Evaluation": EVALUATION,
}
"""By the name whose docstring is quoted."""
CLAUSES = (*(clause for clauses in CONTRACT.values() for clause in clauses), *BEYOND)


def named_cases(clause: Clause, case_ids: Sequence[str]) -> list[str]:
    """Return the golden cases that a clause names, in the order of the golden set."""
    patterns = clause.cases.split()
    return [case_id for case_id in case_ids if any(fnmatchcase(case_id, pattern) for pattern in patterns)]
