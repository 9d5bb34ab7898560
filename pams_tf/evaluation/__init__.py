"""Evaluating models: metrics, benchmarks, and upscaling images of any size."""
