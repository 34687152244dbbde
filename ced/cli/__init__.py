"""Commands: arguments in, exit codes out; nothing else imports this room."""
