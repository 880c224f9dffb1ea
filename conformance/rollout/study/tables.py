"""Tables in Markdown, of the records of a study."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from conformance.rollout.study.plan import WRONG_SCALES
from conformance.rollout.study.settings import ARMS, COMBINED, Setting
from conformance.rollout.study.statistics import MARGINS, Comparison, compared, paired, verdicts

Records = Mapping[str, Mapping[str, Any]]
NOT_RUN = "*No such run is on record yet.*"
PAIRS = 5
"""Seeds of a comparison: the first so many whose legacy run passed its gates, whatever the other arm did."""
SHOWN = {
    "amplitude_mae": "amplitude MAE",
    "phase_mae": "phase MAE",
    "amplitude_psnr": "PSNR",
    "amplitude_ssim": "SSIM",
    "phase_ssim": "phase SSIM",
    "frc50": "FRC50",
    "canvas_correlation": "canvas correlation",
    "dispersion": "dispersion",
    "amplitude_ratio": "amplitude ratio",
}


def by_seed(records: Records, seeds: Iterable[int] = range(9), **factors: Any) -> dict[int, Mapping[str, Any]]:
    """Return the metrics of the recorded runs with these factors, by seed."""
    found = {}
    for seed in seeds:
        record = records.get(Setting(seed=seed, **factors).run_id)
        if record is not None:
            found[seed] = record["metrics"]
    return found


def values(runs: Mapping[int, Mapping[str, Any]], metric: str) -> list[float]:
    """Return one metric of some runs, those that have it."""
    return [float(run[metric]) for run in runs.values() if metric in run]


def spread(numbers: Sequence[float], digits: int = 3) -> str:
    """Return mean and standard deviation, or a dash for nothing."""
    if not numbers:
        return "-"
    mean = f"{np.mean(numbers):.{digits}f}"
    return f"{mean} ± {np.std(numbers, ddof=1):.{digits}f}" if len(numbers) > 1 else mean


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def accepted(runs: Mapping[int, Mapping[str, Any]]) -> str:
    """Return how many runs passed the gates."""
    return f"{sum(bool(run['accepted']) for run in runs.values())}/{len(runs)}"


def cell_metrics(records: Records, arms: Sequence[str] = ARMS, **factors: Any) -> str:
    """Return the metrics of a cell's arms, mean and standard deviation over seeds."""
    rows = []
    for arm in arms:
        runs = by_seed(records, arm=arm, **factors)
        if runs:
            rows.append([arm, accepted(runs), *(spread(values(runs, metric)) for metric in SHOWN)])
    return markdown(["arm", "gates", *SHOWN.values()], rows)


def comparisons(records: Records, arms: Sequence[str] = ARMS, **factors: Any) -> list[Comparison]:
    """Return every arm but the legacy one against it, in every metric with a margin."""
    legacy = by_seed(records, arm="mae", **factors)
    others = {arm: by_seed(records, arm=arm, **factors) for arm in arms if arm != "mae"}
    return [
        compared(arm, metric, paired(legacy, runs, metric)[:PAIRS])
        for arm, runs in others.items()
        if runs
        for metric in MARGINS
    ]


def cell_verdicts(records: Records, arms: Sequence[str] = ARMS, **factors: Any) -> str:
    """Return each arm's difference to the legacy loss with its verdict, and the power to find an equal arm so."""
    made = comparisons(records, arms, **factors)
    said = verdicts(made)
    rows: dict[str, list[str]] = {}
    for one in made:
        cell = f"{one.mean:+.3f} {said[one.arm, one.metric]} ({one.power:.2f})" if one.differences else "no pairs"
        rows.setdefault(one.arm, [one.arm, str(len(one.differences))]).append(cell)
    header = [f"{SHOWN[metric]} (margin {margin:g})" for metric, margin in MARGINS.items()]
    return markdown(["arm", "pairs", *header], rows.values())


def sweep(records: Records, metric: str, data: str) -> str:
    """Return one metric by arm and wrong scale, four channels at high dose, the sweep's seeds."""
    scales = sorted({1.0, *WRONG_SCALES})
    rows = []
    for arm in ARMS:
        found = [by_seed(records, range(3), data=data, channels=4, photons=1e6, arm=arm, k=k) for k in scales]
        rows.append([arm, *(spread(values(runs, metric)) for runs in found)])
    return markdown(["arm", *(f"k = {k:g}" for k in scales)], rows)


def variation(records: Records, arms: Sequence[str] = ("mae", "l2_sample", "l2_batch"), **change: Any) -> str:
    """Return what one changed factor does, on both data sets; three seeds."""
    rows = []
    for data in ("synthetic", "real-like"):
        for arm in arms:
            runs = by_seed(records, range(3), **{"data": data, "channels": 4, "photons": 1e6, "arm": arm, **change})
            if runs:
                shown = [spread(values(runs, metric)) for metric in SHOWN]
                rows.append([data, arm, accepted(runs), *shown])
    return markdown(["data", "arm", "gates", *SHOWN.values()], rows) if rows else NOT_RUN


def combined(records: Records, data: str, photons: float) -> str:
    """Return the NLL with each of the others beside the NLL alone and the legacy loss; three seeds."""
    rows = []
    for arm in ("mae", "nll", *COMBINED):
        runs = by_seed(records, range(3), data=data, channels=4, photons=photons, arm=arm)
        if runs:
            rows.append([arm, accepted(runs), *(spread(values(runs, metric)) for metric in SHOWN)])
    return markdown(["arm", "gates", *SHOWN.values()], rows)


def elsewhere(records: Records) -> str:
    """Return how far the runs with the Torch and TensorFlow losses end from those of the reference, seed 0."""
    rows = []
    for data in ("synthetic", "real-like"):
        for arm in ("mae", "l2_sample", "l2_batch", "nll"):
            factors = {"data": data, "channels": 4, "photons": 1e6, "arm": arm}
            at = [by_seed(records, [0], **factors, backend=name) for name in ("jax", "torch", "tensorflow")]
            for metric in ("loss_first", "gradient_norm_first", "loss_last", "amplitude_mae", "canvas_correlation"):
                shown = [f"{values(runs, metric)[0]:.6g}" if values(runs, metric) else "-" for runs in at]
                rows.append([data, arm, metric, *shown])
    return markdown(["data", "arm", "metric", "JAX reference", "shipped Torch", "shipped TensorFlow"], rows)


def measured(records: Records) -> str:
    """Return how well the runs on measured scans explain their data and agree with themselves."""
    names = {
        "r_factor": "R",
        "r_factor_constant": "R of a constant object",
        "r_factor_canvas": "R of the canvas",
        "overlap_modulus": "overlap, modulus",
        "overlap_complex": "overlap, complex",
        "dispersion": "dispersion",
        "raw_ratio": "raw ratio",
    }
    rows = [
        [str(record["metrics"]["file"]), record["setting"]["arm"], *(f"{record['metrics'][key]:.3f}" for key in names)]
        for _, record in sorted(records.items())
        if record["setting"]["data"] == "measured"
    ]
    return markdown(["scan", "arm", *names.values()], rows) if rows else NOT_RUN


def gradients(records: Records) -> str:
    """Return the norm of the first gradient by wrong scale and gain, synthetic data, seed 0."""
    rows = []
    for arm, gain in (("mae", "unit_rms"), ("nll", "unit_rms"), ("l2_batch", "unit_rms"), ("l2_batch", "unit_l2")):
        cells = []
        for k in sorted({1.0, *WRONG_SCALES}):
            runs = by_seed(records, [0], data="synthetic", channels=4, photons=1e6, arm=arm, k=k, gain=gain)
            cells.append("".join(f"{value:.3g}" for value in values(runs, "gradient_norm_first")) or "-")
        rows.append([f"{arm} {gain}" if arm.startswith("l2") else arm, *cells])
    return markdown(["loss", *(f"k = {k:g}" for k in sorted({1.0, *WRONG_SCALES}))], rows)
