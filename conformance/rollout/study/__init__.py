"""A/B experiments: small networks that learn to invert simulated diffraction under each loss, and what they reach."""
