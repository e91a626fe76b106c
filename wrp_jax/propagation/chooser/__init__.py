"""Our refiner: hypotheses along chains of frames, and the choice between them."""
