"""Optimizers: they read feedback, ask a language model, and change parameters."""
