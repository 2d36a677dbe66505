"""A served Twinlock, the people who use it, and the ways to look at its pages."""
