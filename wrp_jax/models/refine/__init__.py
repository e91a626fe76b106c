"""Refiner networks: the chooser, and the pix2pix network of the paper."""
