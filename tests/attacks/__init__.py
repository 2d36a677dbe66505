"""Every threat and every failure of peers, tried on this application."""
