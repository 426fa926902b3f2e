"""What snqd is measured beside: other programs that work a queue off, as their users run them."""
