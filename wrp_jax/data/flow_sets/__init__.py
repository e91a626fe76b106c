"""Image pairs with true flow: what supervised motion training reads. NumPy and OpenCV only."""
