"""What can be read: one file per read model, with its schema, its apply and its queries."""
