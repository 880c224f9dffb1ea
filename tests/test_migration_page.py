"""docs/migration.md does what it says: its command, its four scripts, its numbers."""

import os
import re
import subprocess
import sys
from math import log, sqrt
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "migration.md").read_text(encoding="utf-8")
SCRIPTS = {
    block.splitlines()[0].removeprefix("# "): block
    for block in re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
}


def _run(*arguments: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _numbers(said: str) -> dict[str, float]:
    return {name: float(number) for name, number in re.findall(r"^(.+) ([\d.e+-]+)$", said, flags=re.MULTILINE)}


def test_the_command_prints_what_the_page_shows(tmp_path: Path) -> None:
    (command,) = re.findall(r"^    \$ ptycho-oracle (.+)$", PAGE, flags=re.MULTILINE)
    (shown,) = re.findall(r"```text\n(.*?)```", PAGE, flags=re.DOTALL)
    said = _run("-m", "conformance", *command.split(), folder=tmp_path)
    assert [line.rstrip() for line in said.splitlines()] == [line.rstrip() for line in shown.splitlines()]


def test_there_are_four_scripts_and_each_names_itself() -> None:
    assert list(SCRIPTS) == ["before_torch.py", "after_torch.py", "before_keras.py", "after_keras.py"]


@pytest.mark.parametrize("framework", ["torch", "keras"])
def test_a_stranger_follows_the_page(framework: str, tmp_path: Path) -> None:
    for name in (f"before_{framework}.py", f"after_{framework}.py"):
        (tmp_path / name).write_text(SCRIPTS[name], encoding="utf-8")
    before = _numbers(_run(f"before_{framework}.py", folder=tmp_path))
    after = _numbers(_run(f"after_{framework}.py", folder=tmp_path))
    assert list(before) == ["legacy MAE"] and list(after) == ["legacy MAE as it is", "legacy MAE restored"]
    assert 0 < after["legacy MAE restored"] < after["legacy MAE as it is"]


@pytest.mark.parametrize("framework", ["torch", "keras"])
def test_a_script_keeps_its_data_its_network_and_its_optimizer(framework: str) -> None:
    """The lines of `before` that are not in `after` are of the loss: its import, the loss itself, what is printed."""
    before, after = (SCRIPTS[f"{when}_{framework}.py"].splitlines() for when in ("before", "after"))
    gone = [line.strip() for line in before[1:] if line not in after]
    assert len(gone) <= 3 and all("loss" in line or "legacy MAE" in line or "history" in line for line in gone), gone


def test_the_steps_until_adam_forgets_are_those_of_its_recursion() -> None:
    """v starts at 1, the squared gradients are r^2 from now on; counted until what is new is more than what is old."""
    shown = [int(number) for number in re.findall(r"(\d+) (?:steps )?for `unit_(?:l2|rms)`", " ".join(PAGE.split()))]
    assert len(shown) == 2
    for steps, ratio in zip(shown, (1 / sqrt(64e9), 64 / sqrt(1e9))):
        old, new, counted = 1.0, 0.0, 0
        while new < old:
            old, new, counted = 0.999 * old, 0.999 * new + 0.001 * ratio**2, counted + 1
        assert abs(steps - counted) <= 50  # as rounded on the page
        assert abs(2 * log(1 / ratio) / log(1 / 0.999) - counted) <= 2


def test_the_shares_that_a_forgotten_epsilon_takes() -> None:
    assert "a third of the step and 1e-7 five sixths" in " ".join(PAGE.split())
    gradient = 2e-5 * 1e-3
    for epsilon, share in ((1e-8, 1 / 3), (1e-7, 5 / 6)):
        assert abs(epsilon / (gradient + epsilon) - share) < 1e-12


def test_every_page_that_is_linked_is_there() -> None:
    awaited = {"evidence/rollout.md"}  # generated from the study
    for link in set(re.findall(r"\]\(([^)]+\.md)\)", PAGE)) - awaited:
        assert (ROOT / "docs" / link).is_file(), link
