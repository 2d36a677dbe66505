"""The domain's rules as sentences: given facts, when a decision, then facts or a refusal."""
