"""Video and labels on the host: where they come from and where results go. No jax in here."""
