"""The runs of the study done one after the other, several processes side by side, each with one thread."""

import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter

import numpy as np

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


def run(setting: Setting) -> str:
    """Return the record of one run."""
    os.environ.update(THREADS)
    from conformance.rollout.study.canvas import stitched
    from conformance.rollout.study.metrics import outcome
    from conformance.rollout.study.scan import simulated
    from conformance.rollout.study.thumbnails import thumbnails
    from conformance.rollout.study.training import train

    start = perf_counter()
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


def _run_all(settings: Sequence[Setting], path: Path) -> int:
    for setting in settings:
        append(path, run(setting))
    return len(settings)


def do(settings: Sequence[Setting], path: Path, processes: int) -> int:
    """Do the runs that `path` has no record of, append theirs, and return how many those were."""
    known = read(path)
    missing = [setting for setting in settings if setting.run_id not in known]
    os.environ.update(THREADS)
    done = 0
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        started = {pool.submit(_run_all, bundle, path): bundle[0].run_id for bundle in bundles(missing)}
        for future in as_completed(started):
            done += future.result()
            print(f"{done:4} of {len(missing)} runs: those like {started[future]}", flush=True)
    return done
