"""Runs on record: nothing is lost, nothing is doubled, damage is refused, and an interrupted study goes on."""

import json
import subprocess
import sys
from collections import Counter
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conformance.rollout.study import records, work
from conformance.rollout.study.plan import FULL, PARTS, settings
from conformance.rollout.study.records import RecordError, append, environment, line_of, read, rounded
from conformance.rollout.study.settings import ARMS, Setting
from conformance.rollout.study.work import bundles, do

ONE = Setting("synthetic", 4, 1e6, "mae", 0)
OTHER = Setting("synthetic", 4, 1e6, "nll", 0)


def line(setting: Setting, **metrics: Any) -> str:
    return line_of(setting, {"accepted": True, **metrics}, 1.25, {"python": "3"})


def test_a_record_comes_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "new" / "runs.jsonl"
    append(path, line(ONE, frc=[0.123456789, 1], image="abc"))
    (run,) = read(path).values()
    assert run["run"] == ONE.run_id == "synthetic/c4/1e6/mae/seed0"
    assert Setting(**run["setting"]) == ONE
    assert run["metrics"] == {"accepted": True, "frc": [0.123457, 1.0], "image": "abc"}
    assert read(tmp_path / "absent.jsonl") == {}


def test_numbers_that_json_has_not_are_strings(tmp_path: Path) -> None:
    append(tmp_path / "runs", line(ONE, a=float("nan"), b=[float("inf"), np.float64("-inf")]))
    text = (tmp_path / "runs").read_text()
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    metrics = read(tmp_path / "runs")[ONE.run_id]["metrics"]
    assert (metrics["a"], metrics["b"]) == ("nan", ["inf", "-inf"])
    assert rounded(True) is True and rounded("text") == "text"


@pytest.mark.parametrize("left", [1, 40, -1], ids=["a byte", "some", "all but the newline"])
def test_half_a_line_is_passed_over_and_repaired_by_the_next(tmp_path: Path, left: int) -> None:
    path = tmp_path / "runs"
    append(path, line(ONE))
    with path.open("a") as file:
        file.write(line(OTHER)[:left])
    assert list(read(path)) == [ONE.run_id]
    append(path, line(OTHER, phase_mae=0.5))
    assert path.read_text() == line(ONE) + line(OTHER, phase_mae=0.5)


def test_half_a_line_alone_is_repaired(tmp_path: Path) -> None:
    path = tmp_path / "runs"
    path.write_text(line(ONE)[:25])
    assert read(path) == {}
    append(path, line(ONE))
    assert path.read_text() == line(ONE)


WITHOUT = {
    name: json.dumps({k: v for k, v in json.loads(line(ONE)).items() if k != name}) for name in ("metrics", "run")
}


@pytest.mark.parametrize(
    ("damaged", "text"),
    [
        (b"", "Expecting value"),
        (b'{"setting": 3}', "must be a mapping"),
        (b"[]", "list indices"),
        (b"{}", "no 'setting'"),
        (line(ONE)[:60].encode(), "Expecting value"),
        (line(ONE).encode().strip().replace(b'"mae"', b'"l1"'), "arm: got 'l1', wanted one of"),
        (line(ONE).encode().strip().replace(b'"seed": 0', b'"seed": 1'), "which its setting says"),
        (line(ONE).encode().strip().replace(b"mae", b"\xff"), "utf-8"),
        (WITHOUT["metrics"].encode(), "no 'metrics'"),
        (WITHOUT["run"].encode(), "no 'run'"),
    ],
    ids=["empty", "setting", "list", "object", "cut", "arm", "mismatch", "bytes", "no metrics", "no run"],
)
def test_damage_before_the_end_is_refused(tmp_path: Path, damaged: bytes, text: str) -> None:
    path = tmp_path / "runs"
    path.write_bytes(line(OTHER).encode() + damaged + b"\n" + line(OTHER).encode())
    with pytest.raises(RecordError) as refused:
        read(path)
    message = str(refused.value)
    assert message.startswith(f"{path}, line 2: no record of a run (") and message.endswith("); delete the line")
    assert text in message


def test_one_run_twice_is_fine_with_the_same_numbers_only(tmp_path: Path) -> None:
    path = tmp_path / "runs"
    append(path, line(ONE, phase_mae=0.5))
    append(path, line_of(ONE, {"accepted": True, "phase_mae": 0.5}, 99.0, {"python": "4"}))
    assert len(read(path)) == 1
    append(path, line(ONE, phase_mae=0.25))
    wanted = f"{path}, line 3: {ONE.run_id} is recorded twice with different numbers; delete one"
    with pytest.raises(RecordError) as refused:
        read(path)
    assert str(refused.value) == wanted


def test_two_processes_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "runs"
    program = (
        "import sys; from pathlib import Path; from conformance.rollout.study.records import append, line_of\n"
        "from conformance.rollout.study.settings import Setting\n"
        "for seed in range(30):\n"
        "    setting = Setting('synthetic', 4, 1e6, sys.argv[2], seed)\n"
        "    append(Path(sys.argv[1]), line_of(setting, {'image': sys.argv[2] * 30000}, 0, {}))\n"
    )
    writers = [subprocess.Popen([sys.executable, "-c", program, str(path), arm]) for arm in ("mae", "nll", "l2_batch")]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    found = read(path)
    assert len(found) == 90 and len(path.read_text().splitlines()) == 90
    for record in found.values():
        assert record["metrics"]["image"] == record["setting"]["arm"] * 30000


def test_a_line_that_another_process_is_writing_is_not_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Half a line may be another process at work, which holds the lock: here it ends its line while this one waits.
    path = tmp_path / "runs"
    path.write_text(line(ONE)[:50])

    def wait(file: Any, how: int) -> None:
        assert how == records.fcntl.LOCK_EX
        with path.open("a") as other:
            other.write(line(ONE)[50:])

    monkeypatch.setattr(records.fcntl, "flock", wait)
    append(path, line(OTHER))
    assert path.read_text() == line(ONE) + line(OTHER)


def test_the_environment_says_what_is_absent() -> None:
    found = environment()
    assert found["threads"] == "1" and found["numpy"] == np.__version__
    assert all(isinstance(value, str) and value for value in found.values())


def test_every_run_of_the_plan_has_a_name_of_its_own() -> None:
    every = settings(tuple(PARTS))
    assert len({setting.run_id for setting in every}) == len(set(every)) == len(every)
    assert set(PARTS) == {*FULL, "smoke"}


def test_the_core_is_what_was_promised() -> None:
    # Issue 5: 2 data sets x 2 channel settings x 2 photon levels x the arms x at least 5 seeds, at the right scale;
    # with one pattern a sample the scope patch is the scope sample, bit for bit (test_study_arms), and is left out.
    core = settings(("core",))
    cells = Counter((one.data, one.channels, one.photons, one.arm) for one in core)
    wanted = {
        (data, channels, photons, arm)
        for data in ("synthetic", "real-like")
        for channels in (1, 4)
        for photons in (1e3, 1e6)
        for arm in ARMS
        if not (channels == 1 and arm == "l2_patch")
    }
    assert set(cells) == wanted
    assert all(number == {"synthetic": 5, "real-like": 9}[data] for (data, *_), number in cells.items())
    assert len(core) == (6 + 5) * 2 * 5 + (6 + 5) * 2 * 9
    assert core == [Setting(one.data, one.channels, one.photons, one.arm, one.seed) for one in core]


def test_the_sweep_has_three_seeds_of_every_arm_at_each_wrong_scale() -> None:
    cells = Counter((one.data, one.arm, one.k) for one in settings(("sweep",)))
    assert {k for _, _, k in cells} == {0.1, 0.5, 2.0, 10.0}  # k = 1 is in the core
    assert len(cells) == 2 * 6 * 4 and set(cells.values()) == {3}


def test_what_is_compared_has_its_partner_in_the_plan() -> None:
    every = set(settings(FULL))
    for one in settings(("elsewhere",)):
        assert Setting(one.data, one.channels, one.photons, one.arm, one.seed) in every
    for one in settings(("variations",)):
        changed = {**one.factors(), "gain": "unit_rms", "arm": "mae"}
        assert Setting(**changed) in every, one.run_id


def test_bundles_keep_every_run_and_share_a_compilation() -> None:
    every = settings(FULL)
    made = bundles(every)
    assert sorted(one.run_id for bundle in made for one in bundle) == sorted(one.run_id for one in every)
    assert all(len({(one.arm, one.head, one.generator, one.channels, one.gain) for one in b}) == 1 for b in made)
    assert made[0][0] == every[0]


@pytest.fixture
def in_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    def pool(processes: int, mp_context: Any) -> Executor:
        return ThreadPoolExecutor(processes)

    monkeypatch.setattr(work, "ProcessPoolExecutor", pool)
    monkeypatch.setattr(work, "THREADS", {})


def test_an_interrupted_study_does_only_what_is_missing(
    in_one_process: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    wanted = [Setting("synthetic", 4, 1e6, arm, seed) for seed in range(2) for arm in ("mae", "nll", "l2_batch")]
    asked: list[str] = []

    def run(setting: Setting, source: object = None) -> str:
        asked.append(setting.run_id)
        if len(asked) == 4:
            raise KeyError("pulled out")
        return line(setting)

    monkeypatch.setattr(work, "run", run)
    path = tmp_path / "runs"
    with pytest.raises(KeyError, match="pulled out"):
        do(wanted, path, 1)
    before = set(read(path))
    assert 3 <= len(before) < 6
    with path.open("a") as file:
        file.write(line(ONE)[:30])
    asked[:] = []
    monkeypatch.setattr(work, "run", lambda setting, source: (asked.append(setting.run_id), line(setting))[1])
    assert do(wanted, path, 1) == 6 - len(before)
    assert set(asked) == {one.run_id for one in wanted} - before
    assert set(read(path)) == {one.run_id for one in wanted} and len(path.read_text().splitlines()) == 6
    assert do(wanted, path, 1) == 0


def test_a_run_repeats_its_numbers(in_one_process: None, tmp_path: Path) -> None:
    setting = Setting("synthetic", 1, 1e4, "l2_batch", 0, steps=3)
    first, second = json.loads(work.run(setting)), json.loads(work.run(setting))
    assert first["metrics"] == second["metrics"] and first["run"] == "synthetic/c1/1e4/l2_batch/seed0/steps=3"
    append(tmp_path / "runs", json.dumps(first) + "\n")
    assert do([setting], tmp_path / "runs", 1) == 0
    assert {"image", "image_truth", "accepted", "frc", "drift"} <= set(first["metrics"])
