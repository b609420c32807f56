"""Real projects: their models, the databases that their migrations make, and what the contract finds in them."""
