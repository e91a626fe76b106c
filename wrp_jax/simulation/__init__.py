"""Clips simulated from labelled frames: camera, layers, sensor."""
