"""What is true: aggregates, their facts and their rules; pure, without I/O, clock or chance."""
