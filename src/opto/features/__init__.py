"""Ready-made parts of programs."""
