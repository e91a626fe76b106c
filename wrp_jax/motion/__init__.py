"""f_θ ready for use: from options to flow between frames, by network, algorithm or files."""
