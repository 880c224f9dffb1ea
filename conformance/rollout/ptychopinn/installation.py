"""What `install` did, and how it is undone."""

from collections.abc import Callable
from dataclasses import dataclass, field


def _nothing() -> None:
    """Undo nothing."""


@dataclass(frozen=True)
class Installation:
    """What was replaced by what in one model.

    Parameters
    ----------
    framework : {"torch", "keras"}
    mae_normalization : str
        Of the configuration; with "none" the model is as it was.
    where : str
        The place in the checkout, and the position there.
    replaced, by : str
        The two losses; empty where nothing was replaced.
    notes : tuple of str
        What follows for the training run and is easily overlooked.
    undo : callable
        Puts the model back; called through `uninstall`.
    """

    framework: str
    mae_normalization: str
    where: str = ""
    replaced: str = ""
    by: str = ""
    notes: tuple[str, ...] = ()
    undo: Callable[[], None] = field(default=_nothing, repr=False, compare=False)

    @property
    def changed(self) -> bool:
        """True if the model trains with another loss than before."""
        return bool(self.by)

    def uninstall(self) -> None:
        """Put the checkout's own loss back; weights, optimiser and its state stay as they are.

        Raises
        ------
        UsageError
            The model was changed by somebody else since, or put back already.
        """
        self.undo()
