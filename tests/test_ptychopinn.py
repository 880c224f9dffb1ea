"""`install` before it knows the framework, and the script that tries a checkout, on checkouts made of the stand-ins."""

import os
import subprocess
import sys
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import pytest

from conformance import BackendError, ExitCode, UsageError
from conformance.codepaths import LossConfig
from conformance.rollout.ptychopinn import Installation, install
from conformance.rollout.ptychopinn.checkout import module_of
from conformance.rollout.ptychopinn.trial import Finding, exit_code, same

TESTS = Path(__file__).resolve().parent
FILES = {
    "ptycho_torch/config_params.py": "from standin_torch import *\n",
    "ptycho_torch/model.py": "from standin_torch import *\n",
    "ptycho/params.py": "from standin_keras import cfg\n",
    "ptycho/model.py": "from standin_keras import create_compiled_model\n",
}


def checkout(folder: Path, **changed: str) -> Path:
    """Write a checkout made of the stand-ins, files named by their stem with the folder changed."""
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(changed.get(name.removesuffix(".py").replace("/", "__"), text))
    return folder


def script(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "conformance.rollout.ptychopinn", *arguments],
        cwd=TESTS.parent,
        env={**os.environ, "PYTHONPATH": str(TESTS), "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_model_of_no_framework_is_refused() -> None:
    with pytest.raises(UsageError, match=r"model: got int, wanted a torch\.nn\.Module or a keras\.Model; give the mod"):
        install(1, LossConfig())
    old = type("Model", (), {"__module__": "tf_keras.src.engine"})
    with pytest.raises(UsageError, match=r"wanted a .*; unset TF_USE_LEGACY_KERAS, the losses are for Keras 3"):
        install(old(), LossConfig())


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (
            LossConfig("l2_sample", nll_reduction="sum"),
            r"config\.nll_reduction: got 'sum', wanted 'mean': only the amp",
        ),
        (
            LossConfig("l2_sample", intensity_scale=2.0),
            r"config\.intensity_scale: got 2\.0, wanted 1\.0: only the ampl",
        ),
        (LossConfig(mae_reduction="sum"), r"config\.mae_reduction: got 'sum', wanted 'mean': only the amplitude term"),
        ("l2_sample", r"config: got str, wanted a LossConfig of conformance\.codepaths"),
    ],
    ids=["nll", "scale", "none-too", "no-config"],
)
def test_a_setting_that_would_be_ignored_is_refused(config: Any, said: str) -> None:
    model = type("Model", (), {"__module__": "torch.nn"})()
    with pytest.raises(UsageError, match=said):
        install(model, config)


def test_the_record_is_frozen_and_says_what_was_done() -> None:
    record = install(type("Model", (), {"__module__": "keras"})(), LossConfig())
    assert record == Installation("keras", "none", notes=record.notes) and not record.changed
    with pytest.raises(FrozenInstanceError):
        record.by = "another"  # type: ignore[misc]  # that is the test


def test_none_and_the_package_import_no_framework() -> None:
    program = (
        "import sys\nfrom conformance.codepaths.config import LossConfig\n"
        "from conformance.rollout.ptychopinn import install\n"
        "install(type('Model', (), {'__module__': 'torch'})(), LossConfig())\n"
        "assert not {'torch', 'tensorflow', 'keras', 'jax'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=TESTS.parent, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_only_findings_that_all_hold_are_green() -> None:
    assert exit_code([]) == ExitCode.NOTHING_CHECKED
    assert exit_code([Finding("a", True), Finding("b", False)]) == ExitCode.NOT_CONFORMANT
    assert exit_code([Finding("a", True)]) == ExitCode.CONFORMANT
    assert same("x", {"a": b"1"}, {"a": b"1"}).holds
    assert same("x", {"a": b"1", "c": b""}, {"a": b"2", "b": b""}).said == "different: a, b, c"


def test_the_script_tries_both_frameworks_of_a_checkout(tmp_path: Path) -> None:
    done = script("--checkout", str(checkout(tmp_path)))
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 14 and all(line.startswith("pass  ") for line in lines)
    for framework in ("torch", "tensorflow"):
        assert f"{framework}: the amplitude loss that is used, judged: conformant" in done.stdout
        assert f"{framework}: uninstall restores loss and gradient bit for bit" in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ptycho", "ptycho_torch"]


def test_the_script_takes_views_in_torch_alone(tmp_path: Path) -> None:
    arguments = ("--checkout", str(checkout(tmp_path)), "--mae-normalization", "l2_view")
    done = script(*arguments)
    assert done.returncode == ExitCode.USAGE and "Keras hands a loss no ids; add --framework torch" in done.stderr
    done = script(*arguments, "--framework", "torch")
    assert done.returncode == 0, done.stdout + done.stderr


NOISY = """
import torch
from standin_torch import *
class PtychoPINN_Lightning(PtychoPINN_Lightning):
    def compute_loss(self, batch):
        return super().compute_loss(batch) + torch.rand(())
"""


@pytest.mark.parametrize(
    ("changed", "code", "said"),
    [
        ({"ptycho_torch__model": NOISY}, ExitCode.NOT_CONFORMANT, "FAIL  torch: 'none' leaves loss and gradient"),
        (
            {"ptycho_torch__model": "import no_such_package"},
            ExitCode.BACKEND,
            "ModuleNotFoundError: No module named 'no",
        ),
        ({"ptycho_torch__model": "PtychoPINN_Lightning = None"}, ExitCode.BACKEND, "PtychoPINN_Lightning of "),
    ],
    ids=["noisy", "not-imported", "not-built"],
)
def test_the_script_tells_a_wrong_loss_from_a_checkout_that_does_not_start(
    tmp_path: Path, changed: dict[str, str], code: ExitCode, said: str
) -> None:
    done = script("--checkout", str(checkout(tmp_path, **changed)), "--framework", "torch")
    assert done.returncode == code and said in done.stdout + done.stderr, done.stdout + done.stderr


def test_another_installation_is_not_taken_for_the_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    with pytest.raises(BackendError, match=r"json: imported from .*, wanted .*; uninstall the other PtychoPINN here"):
        module_of(tmp_path, "json")


def test_the_script_without_a_checkout(tmp_path: Path) -> None:
    done = script()
    assert done.returncode == ExitCode.USAGE and "required: --checkout" in done.stderr
    done = script("--checkout", str(tmp_path))
    assert done.returncode == ExitCode.USAGE
    assert f"{tmp_path}: no ptycho_torch/model.py there; give the root of a PtychoPINN clone" in done.stderr
