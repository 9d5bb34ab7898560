"""How good a network is, and how fast: metrics, benchmarks, figures, latency."""
