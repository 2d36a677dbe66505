"""The outer ring: settings, composition, command line and adapters to the world."""
