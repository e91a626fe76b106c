"""Image pairs with true flow: what supervised motion training reads. NumPy and OpenCV only."""

from wrp_jax.data.flow_sets.pairs import FlowPair, FlowPairs, flow_pairs

__all__ = ["FlowPair", "FlowPairs", "flow_pairs"]
