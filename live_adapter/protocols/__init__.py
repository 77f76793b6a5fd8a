"""What providers and clients say, as facts: bytes in, facts out, and back. No I/O, no clock, no rule of the gateway."""
