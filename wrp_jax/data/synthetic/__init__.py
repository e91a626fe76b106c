"""Synthetic street videos with exact labels and exact motion; NumPy and OpenCV only."""
