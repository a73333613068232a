"""What the service tells those who watch it: numbers for Prometheus, and traces for OpenTelemetry where
somebody wants them. Neither holds a text of a document, nor a question unless a setting says so.
"""
