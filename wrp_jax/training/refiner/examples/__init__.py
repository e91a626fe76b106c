"""What both refiners learn from: simulated clips and cycles in time."""
