"""Right codepaths: all three losses with all their options, a dozen times, each time written differently."""

from right_codepaths.strategies import STRATEGIES
from right_codepaths.strategy import Strategy
from right_codepaths.turns import turns

__all__ = ["STRATEGIES", "Strategy", "turns"]
