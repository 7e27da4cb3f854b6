"""The OpenAPI document against a validator of the specification."""

import json
import unittest

from openapi_spec_validator import OpenAPIV30SpecValidator, validate

import salus_server


class Document(unittest.TestCase):
    def setUp(self):
        path = salus_server.ROOT / "adapters/rest/openapi.json"
        self.document = json.loads(path.read_text())

    def test_the_document_is_valid_openapi(self):
        self.assertTrue(self.document["openapi"].startswith("3.0."))
        validate(self.document)

    def test_the_validator_would_find_an_error(self):
        path, item = next(iter(self.document["paths"].items()))
        method = next(iter(item))
        del item[method]["responses"]
        errors = list(OpenAPIV30SpecValidator(self.document).iter_errors())
        self.assertTrue(errors, f"{method} {path} without responses passed")
