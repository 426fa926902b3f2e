"""How fast, how fair, how small and how hard to kill snqd is, measured: ``python -m benchmarks [NAME...]``."""
