"""The JSON of requests and responses: pydantic models, parsing and rendering."""
