"""Public data sets as their authors lay them out, one module each, and ``convert``, which writes
them as folders.
"""
