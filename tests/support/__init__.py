"""What the tests share: the real parts, and the words that scenarios are told in."""
