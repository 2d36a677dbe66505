"""What happens afterwards: relay, member states, projectors, mailer, notary; exports, rebuilds."""
