"""What ``propagate.py`` does: plan → cues of a window, once → methods → files → scores → report."""
