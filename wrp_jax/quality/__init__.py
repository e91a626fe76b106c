"""How good labels are expected to be, without a true one; and which frames to label next."""
