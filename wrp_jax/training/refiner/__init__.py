"""Ω: its examples, and the training of either refiner on them."""
