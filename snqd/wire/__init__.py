"""What payloads look like outside: JSON, PHP's serialize(), StatusNet's envelopes and its monitor pings."""
