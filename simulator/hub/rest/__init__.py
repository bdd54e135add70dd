"""The service API over HTTPS: reads requests, calls the model, writes responses."""
