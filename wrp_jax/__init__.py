"""Warp-Refine Propagation in JAX."""
