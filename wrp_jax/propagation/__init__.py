"""The method: cues along chains, labels carried through them, step by step."""
