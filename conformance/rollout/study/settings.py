"""What one training run is: every factor of the study in one record, whose identifier is made of the factors."""

from dataclasses import asdict, dataclass
from typing import Any

from conformance.codepaths.config import choose, require_positive

DATA = ("synthetic", "real-like", "measured")
ARMS = ("mae", "l2_sample", "l2_patch", "l2_batch", "l2_sample_var", "nll")
"""The legacy MAE; the normalised one by scope, and with the variance of the log scale; the Poisson NLL."""
COMBINED = tuple(f"nll+{arm}" for arm in ARMS[:-1])
"""The NLL with each of the others, their gradients balanced at the start."""
GENERATORS = ("cnn", "fno")
HEADS = ("bounded", "unbounded")
GAINS = ("unit_rms", "unit_l2")
BACKENDS = ("jax", "torch", "tensorflow")


@dataclass(frozen=True)
class Setting:
    """The factors of a run.

    Parameters
    ----------
    data : {"synthetic", "real-like", "measured"}
    channels : {1, 4}
        Patterns that the network sees jointly, and that share one merged object.
    photons : float
        Mean photons of a pattern.
    arm : str
        One of ARMS or COMBINED.
    seed : int
        Draws object, positions, photons, weights and batches. Arms with one seed share all of these: they are paired.
    k : float
        What the predicted amplitudes are multiplied by: the factor by which the assumed scale is wrong.
    head : {"bounded", "unbounded"}
        Amplitude by a sigmoid, or by a softplus.
    generator : {"cnn", "fno"}
    jitter : float
        Each pattern has an incident flux of its own, log-uniform in [1 / jitter, jitter]; 1 for none.
    probe_scale : float
        0: the probe has the photons of the data. Else it is divided by probe_scale times its mean modulus, whatever
        the data say, as the networks of the field may.
    gain : {"unit_rms", "unit_l2"}
        Gain of the normalised MAE.
    backend : {"jax", "torch", "tensorflow"}
        Whose loss gives value and gradient with respect to the amplitudes. The network is always JAX.
    steps : int
    """

    data: str
    channels: int
    photons: float
    arm: str
    seed: int
    k: float = 1.0
    head: str = "bounded"
    generator: str = "cnn"
    jitter: float = 1.0
    probe_scale: float = 0.0
    gain: str = "unit_rms"
    backend: str = "jax"
    steps: int = 500

    def __post_init__(self) -> None:
        choose("data", self.data, DATA)
        choose("arm", self.arm, ARMS + COMBINED)
        choose("head", self.head, HEADS)
        choose("generator", self.generator, GENERATORS)
        choose("gain", self.gain, GAINS)
        choose("backend", self.backend, BACKENDS)
        if self.channels not in (1, 4):
            raise ValueError(f"channels: got {self.channels!r}, wanted 1 or 4")
        for name in ("photons", "k", "jitter", "steps"):
            require_positive(name, getattr(self, name))

    @property
    def run_id(self) -> str:
        """Return the identifier: all factors that a reader needs, those at their default left out."""
        short = f"{self.photons:.0e}".replace("+0", "")
        photons = short if float(short) == self.photons else f"{self.photons:g}"
        parts = [self.data, f"c{self.channels}", photons, self.arm, f"seed{self.seed}"]
        defaults = {name: field.default for name, field in self.__dataclass_fields__.items()}
        for name in ("k", "head", "generator", "jitter", "probe_scale", "gain", "backend", "steps"):
            value = getattr(self, name)
            if value != defaults[name]:
                parts.append(f"{name}={value:g}" if isinstance(value, (int, float)) else f"{name}={value}")
        return "/".join(parts)

    def factors(self) -> dict[str, Any]:
        """Return the factors as they are written to a record."""
        return asdict(self)
