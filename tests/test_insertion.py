"""The page on insertion: its snippets run, on the stand-ins, and the tests and choices that it names are there."""

import re
from pathlib import Path
from typing import Any

import pytest
import standin_keras
import torch
from standin_torch import model_of

from conformance.codepaths import LossConfig
from conformance.codepaths.config import MAE_NORMALIZATIONS
from conformance.codepaths.torch_functions import amplitude_l2_mae
from conformance.exit_codes import ExitCode

TESTS = Path(__file__).resolve().parent
PAGE = (TESTS.parent / "docs" / "insertion.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)


def run(snippet: str, **given: Any) -> dict[str, Any]:
    names = {"LossConfig": LossConfig, **given}
    exec(compile(snippet, "insertion.md", "exec"), names)
    return names


def test_there_are_five_snippets() -> None:
    assert len(SNIPPETS) == 5


@pytest.mark.parametrize("framework", ["torch", "keras"])
def test_install_as_the_page_shows_it(framework: str, capsys: pytest.CaptureFixture[str]) -> None:
    model = model_of() if framework == "torch" else standin_keras.create_compiled_model()[0]
    run(SNIPPETS[0], model=model)
    said = capsys.readouterr().out
    assert ("compute_loss of ptycho_torch/model.py" if framework == "torch" else "ptycho/model.py, loss[1]") in said
    assert "AmplitudeL2MAE(scope='batch'" in said


def test_by_hand_in_keras() -> None:
    model = standin_keras.uncompiled_model(1, 16)
    run(SNIPPETS[1], model=model, realspace_loss=standin_keras.realspace_loss, negloglik=standin_keras.negloglik)
    assert model.loss[1].scope == "batch" and model.loss[2] is standin_keras.negloglik


def test_by_hand_in_torch() -> None:
    p, t = torch.rand((2, 3, 1, 4, 4), generator=torch.Generator().manual_seed(0))
    assert torch.equal(
        run(SNIPPETS[2], pred_physics=p, obs_physics=t)["total_loss"], amplitude_l2_mae(p, t, scope="batch")
    )


@pytest.mark.parametrize("index", [3, 4], ids=["dropped-key", "bool"])
def test_the_traps_are_traps(index: int) -> None:
    run(SNIPPETS[index])


def test_the_choices_are_those_of_the_configuration() -> None:
    parser = run(SNIPPETS[4])["parser"]
    (choices,) = [action.choices for action in parser._actions if action.dest == "mae_normalization"]
    assert choices == MAE_NORMALIZATIONS


def test_every_test_of_the_matrix_is_there() -> None:
    named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", PAGE)
    assert len(named) == 15
    for file, name in named:
        assert f"def {name}(" in (TESTS / file).read_text(encoding="utf-8"), f"{file}::{name}"


def test_the_exit_codes_are_those_of_the_project() -> None:
    codes = {ExitCode.CONFORMANT: 0, ExitCode.NOT_CONFORMANT: 1, ExitCode.USAGE: 2, ExitCode.BACKEND: 4}
    assert all(int(code) == number and f"{number} " in PAGE for code, number in codes.items())
