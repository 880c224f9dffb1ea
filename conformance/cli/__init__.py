"""The command line, `ptycho-oracle`: its commands, and what they share."""

from conformance.cli.commands import app, main

__all__ = ["app", "main"]
