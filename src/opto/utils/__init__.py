"""The few import paths that programs written for the original have."""
