"""The service API over HTTPS: requests and answers translated, nothing decided."""
