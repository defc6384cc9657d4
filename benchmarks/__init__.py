"""Benchmarks of opto.trace against the original trace-opt, torch and plain Python."""
