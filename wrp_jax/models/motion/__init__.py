"""f_θ: motion networks and algorithms. ``wrp_jax.motion`` builds one of them from the options."""
