"""The runs of the study done one after the other, several processes side by side, each with one thread."""

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from conformance.exit_codes import UsageError
from conformance.rollout.study.measured import Source, read_measured
from conformance.rollout.study.records import append, environment, line_of, read
from conformance.rollout.study.settings import Setting

THREADS = {
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "2",
    "JAX_PLATFORMS": "cpu",
    "CUDA_VISIBLE_DEVICES": "-1",
}
"""float32 sums depend on the number of threads; these are set before any framework is imported."""


def run(setting: Setting, source: Source | None = None) -> str:
    """Return the record of one run, on simulated data or on the measured scan of `source`."""
    os.environ.update(THREADS)
    from conformance.rollout.study.canvas import stitched
    from conformance.rollout.study.consistency import outcome as consistency
    from conformance.rollout.study.metrics import outcome
    from conformance.rollout.study.scan import simulated
    from conformance.rollout.study.thumbnails import thumbnails
    from conformance.rollout.study.training import train

    start = perf_counter()
    if source is not None:
        found = read_measured(source, setting.channels)
        metrics = consistency(train(setting, found.scan), found.scan)
        return line_of(setting, {**metrics, **found.facts}, perf_counter() - start, environment())
    scan = simulated(setting)
    trained = train(setting, scan)
    images: dict[str, str] = {}
    if setting.seed == 0 and scan.truth is not None and np.all(np.isfinite(trained.patches)):
        images = thumbnails(stitched(trained.patches, scan), scan.truth)
    return line_of(setting, {**outcome(trained, scan), **images}, perf_counter() - start, environment())


def _alike(setting: Setting) -> tuple[object, ...]:
    """Return what runs must share to be served by one compilation."""
    return (setting.data, setting.channels, setting.arm, setting.head, setting.generator, setting.gain)


def bundles(settings: Sequence[Setting]) -> list[list[Setting]]:
    """Return the settings in lists that share a compilation, in order of their first."""
    found: dict[tuple[object, ...], list[Setting]] = {}
    for setting in settings:
        found.setdefault(_alike(setting), []).append(setting)
    return list(found.values())


def _run_all(settings: Sequence[Setting], path: Path, source: Source | None = None) -> int:
    for setting in settings:
        append(path, run(setting, source))
    return len(settings)


def _refuse_other_scan(
    path: Path, settings: Sequence[Setting], known: Mapping[str, Any], facts: Mapping[str, Any]
) -> None:
    """Raise UsageError where a wanted run is on record for another file, or for this one read in another way."""
    for setting in settings:
        metrics = known.get(setting.run_id, {}).get("metrics", facts)
        for name in ("sha256", "size", "orientation"):
            if metrics.get(name) != facts[name]:
                raise UsageError(
                    f"{path}: {setting.run_id} is on record with {name} {metrics.get(name)}, wanted {facts[name]}; "
                    "pass another --to"
                )


def do(
    settings: Sequence[Setting],
    path: Path,
    processes: int,
    source: Source | None = None,
    facts: Mapping[str, Any] | None = None,
) -> int:
    """Do the runs that `path` has no record of, append theirs, and return how many those were.

    `source` is the file of a measured scan and `facts` what was read from it: what is on record must be of the same.
    """
    known = read(path)
    if facts is not None:
        _refuse_other_scan(path, settings, known, facts)
    missing = [setting for setting in settings if setting.run_id not in known]
    os.environ.update(THREADS)
    done = 0
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        started = {pool.submit(_run_all, bundle, path, source): bundle[0].run_id for bundle in bundles(missing)}
        for future in as_completed(started):
            done += future.result()
            print(f"{done:4} of {len(missing)} runs: those like {started[future]}", flush=True)
    return done
