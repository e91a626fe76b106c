"""Reading what others wrote, within bounds; files that are complete or not there, locks, and whose
an output folder is.
"""
