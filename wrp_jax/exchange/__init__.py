"""Labels as projects that annotation tools and trainers open: one module each."""
