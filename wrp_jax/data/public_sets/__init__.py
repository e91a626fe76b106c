"""Public data sets as their authors lay them out, one module each; ``data.convert`` writes them."""
