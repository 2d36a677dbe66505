"""What can be asked of Twinlock: one file per verb."""
