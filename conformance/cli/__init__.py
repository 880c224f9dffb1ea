"""The command line, `ptycho-oracle`: its commands, and what they share."""

from conformance.cli.app import app, main

__all__ = ["app", "main"]
