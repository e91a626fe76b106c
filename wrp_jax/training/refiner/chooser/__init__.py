"""Training the chooser on crops of hypotheses."""
