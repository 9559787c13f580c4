"""Benchmarks: ours beside a plain baseline in the same run, with the same threads."""
