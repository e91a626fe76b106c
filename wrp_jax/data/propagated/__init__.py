"""What ``propagate`` wrote, read back to train a student on: ``frames`` chooses, the rest reads."""
