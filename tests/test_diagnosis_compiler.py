"""Where torch.compile writes wrong code for a right loss, what was compiled is rejected and the compiler blamed."""

from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest
import torch
from margins_judged import Task, judged
from margins_record import LARGEST_MARGIN
from torch import Tensor

from conformance import check_loss
from conformance.backends import load_backend, torch_compiler_faults
from conformance.diagnosis import Diagnosis, compiler
from conformance.golden import GoldenSet
from conformance.profile import declare

pytestmark = pytest.mark.filterwarnings("ignore:Torchinductor does not support code generation for complex")
"""It says so of every field, and hands these operations back to Torch."""

FIELD = declare("contract", {"domain": "field", "mask": "keyword"})
FIELDS = ("l2-field", "l2-field-real", "l2-field-nan")
FAULT = "compiler pytorch-185702"


def _amplitude(z: Tensor) -> Tensor:
    x, y = z.real, z.imag
    dark = (x == 0) & (y == 0)
    return torch.where(dark, 0.0, torch.where(dark, 1.0, x * x + y * y).sqrt())


def _unit(x: Tensor) -> Tensor:
    energy = x.square().sum((1, 2, 3), keepdim=True)
    return x / torch.where(energy <= 2.0**-80, 2.0**-80, energy).sqrt()


def _loss(prediction: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    """The mean over samples of their means, each weighted by its valid elements."""
    valid = torch.ones_like(prediction, dtype=torch.bool) if mask is None else (mask != 0).expand(prediction.shape)
    p, t = (_unit(_amplitude(torch.where(valid, z, 0.0))) for z in (prediction, target))
    apart = torch.where(p > t, p - t, torch.where(p < t, t - p, torch.where(p == t, 0.0, p - t)))
    count = valid.to(p.dtype).sum((1, 2, 3)).clamp(min=1)
    return ((apart.sum((1, 2, 3)) / count) * (count / count.sum())).sum()


def _diagnosis(loss: Any, mode: str = "compile", cases: tuple[str, ...] = FIELDS) -> Diagnosis | None:
    return check_loss(loss, loss="amplitude_l2_mae", dtype="float64", mode=mode, profile=FIELD, cases=cases).diagnosis


def test_a_right_loss_that_is_compiled_wrongly_is_rejected_and_the_compiler_named() -> None:
    """Torch is pinned to a version that has the fault: where this fails, it is mended, and its entry can go."""
    assert _diagnosis(_loss, "eager") is None
    found = _diagnosis(_loss)
    assert found is not None
    assert found.said == (FAULT,), found
    text = str(found)
    assert "the loss is right and torch.compile's code for it is wrong" in text, text
    assert "options={'cpp.simdlen': 1}" in text, text


def test_the_cure_that_is_named_cures() -> None:
    assert _diagnosis(torch.compile(_loss, options={"cpp.simdlen": 1}), "eager") is None


def test_a_wrong_loss_is_never_put_down_to_the_compiler() -> None:
    """It shares the shape of the code that is compiled wrongly, and is wrong by itself, or once it is compiled."""

    def halved(p: Tensor, t: Tensor, mask: Tensor | None = None) -> Tensor:
        return _loss(p, t, mask) / 2

    def halved_where_compiled(p: Tensor, t: Tensor, mask: Tensor | None = None) -> Tensor:
        return _loss(p, t, mask) / 2 if torch.compiler.is_compiling() else _loss(p, t, mask)

    def halved_but_where_compiled(p: Tensor, t: Tensor, mask: Tensor | None = None) -> Tensor:
        return _loss(p, t, mask) / (1 if torch.compiler.is_compiling() else 2)

    for loss in (halved, halved_where_compiled, halved_but_where_compiled):
        found = _diagnosis(loss)
        assert found is not None
        assert FAULT not in found.said, found
        assert not any("Inductor" in clue for clue in found.clues), found


def test_a_fault_that_does_not_explain_every_case_is_not_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left is said: the graph is right, and the code written for it is not."""
    fault = torch_compiler_faults.FAULTS[0]
    monkeypatch.setattr(torch_compiler_faults, "FAULTS", (replace(fault, mended=nullcontext),))
    found = _diagnosis(_loss, cases=("l2-field",))
    assert found is not None
    assert found.said == ("unknown",), found
    assert any(
        "run one operation after the other (backend='aot_eager'), passes in all 1" in clue for clue in found.clues
    ), found


def test_the_switch_changes_the_fault_and_nothing_after_it() -> None:
    """Compiled before and after, the loss is wrong; compiled within, right."""

    def conformant() -> bool:
        asked = check_loss(
            lambda p, t, mask=None: _loss(p, t, mask),
            loss="amplitude_l2_mae",
            dtype="float64",
            mode="compile",
            profile=FIELD,
            cases=("l2-field",),
        )
        return asked.conformant

    before = conformant()
    with torch_compiler_faults.loops_apart():
        within = conformant()
    assert (before, within, conformant()) == (False, True, False)


def test_a_loss_with_a_memory_is_not_put_down_to_the_compiler() -> None:
    """Asked again it passes, mended or not: that is no evidence."""
    wrong = [True]

    def forgetful(p: Tensor, t: Tensor, mask: Tensor | None = None) -> Tensor:
        return (_unit(_amplitude(p)) - _unit(_amplitude(t))).abs().mean() * (2 if wrong[0] else 1)

    asked = check_loss(
        forgetful, loss="amplitude_l2_mae", dtype="float64", mode="compile", profile=FIELD, cases=("l2-field",)
    )
    wrong[0] = False
    found = asked.diagnosis
    assert found is not None
    assert found.said == ("unknown",), found
    assert not any("Inductor" in clue for clue in found.clues), found


def test_a_torch_without_what_is_switched_has_no_known_faults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler, "FAULTS", {"torch": "conformance.backends.no_such_file"})
    assert compiler.known_faults("torch") == () == compiler.known_faults("jax")
    found = _diagnosis(_loss, cases=("l2-field",))
    assert found is not None and found.said == ("unknown",), found


def test_a_right_way_of_writing_that_is_compiled_wrongly_is_no_false_alarm(golden: GoldenSet) -> None:
    """The margins count it with the fault mended, and say so; with nothing to mend it is rejected."""
    task = Task("torch", "compile", ("float32",), ("in-two-parts",), (), "cpu", (0,), None)
    cases = [case for case in golden.cases if case.question.case_id == "l2-field-dark"]
    ((name, verdict),), miscompiled = judged(task, load_backend("torch"), "float32", cases)
    assert (name, verdict.status) == ("in-two-parts", "pass")
    assert len(miscompiled) == 1 and miscompiled[0].startswith("in-two-parts l2-field-dark (pytorch-185702): gradient")
    assert verdict.gradient_margin < LARGEST_MARGIN


def test_a_wrong_way_of_writing_stays_rejected(golden: GoldenSet, monkeypatch: pytest.MonkeyPatch) -> None:
    fault = replace(torch_compiler_faults.FAULTS[0], mended=nullcontext)
    monkeypatch.setattr(torch_compiler_faults, "FAULTS", (fault,))
    task = Task("torch", "compile", ("float32",), ("in-two-parts",), (), "cpu", (0,), None)
    cases = [case for case in golden.cases if case.question.case_id == "l2-field-dark"]
    ((_, verdict),), miscompiled = judged(task, load_backend("torch"), "float32", cases)
    assert verdict.status == "fail" and not miscompiled
