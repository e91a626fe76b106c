"""Training the paper's Ω: on single steps, or through the whole chain."""
