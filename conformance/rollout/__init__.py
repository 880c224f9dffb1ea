"""From the losses to their use: the study that compares them, the way from the legacy loss, and where they go in."""
