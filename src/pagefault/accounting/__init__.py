"""The cost of requests to models: in tokens (``usage``) and in money (``prices``)."""
