"""The JSON of requests, responses and the stored strategy: schemas that parse and write it."""
