"""TFDS data sets: read, built and written without TensorFlow."""
