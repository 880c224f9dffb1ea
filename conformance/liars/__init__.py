"""The bank of wrong losses: what a conformance suite is worth, and what a diagnosis knows."""
