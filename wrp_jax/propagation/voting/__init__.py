"""Iterative flow voting: labels of both labelled frames vote, then neighbours along flows."""
