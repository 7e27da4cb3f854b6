"""fhirpy reads the record over /fhir, and two other implementations of FHIR
parse and validate what it read."""

import base64
import re
import time
import unittest
import uuid

import fhirkit
import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from fhir.resources.R4B.binary import Binary
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.capabilitystatement import CapabilityStatement
from fhir.resources.R4B.encounter import Encounter
from fhir.resources.R4B.medicationrequest import MedicationRequest
from fhir.resources.R4B.operationoutcome import OperationOutcome
from fhir.resources.R4B.patient import Patient
from fhir.resources.R4B.questionnaireresponse import QuestionnaireResponse
from fhirpy import SyncFHIRClient
from fhirpy.base.exceptions import (
    AuthorizationError,
    BaseFHIRError,
    ForbiddenError,
    ResourceNotFound,
)

import salus_server
from salus_server import fresh

KINDS = {
    "Patient": Patient,
    "QuestionnaireResponse": QuestionnaireResponse,
    "MedicationRequest": MedicationRequest,
    "Encounter": Encounter,
}
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def attachments(value):
    """Every attachment of a resource, however deep it stands."""
    if isinstance(value, list):
        for inner in value:
            yield from attachments(inner)
    elif isinstance(value, dict):
        for name, inner in value.items():
            if name == "valueAttachment":
                yield inner
            else:
                yield from attachments(inner)


class Partner:
    """An EHR partner: a key of its own, registered by its public half."""

    def __init__(self, server, scope):
        self.server, self.scope = server, scope
        self.key = ec.generate_private_key(ec.SECP384R1())
        point = self.key.public_key().public_numbers()

        def coordinate(number):
            text = base64.urlsafe_b64encode(number.to_bytes(48, "big"))
            return text.rstrip(b"=").decode()

        jwk = {
            "kty": "EC",
            "crv": "P-384",
            "alg": "ES384",
            "use": "sig",
            "kid": "one",
            "x": coordinate(point.x),
            "y": coordinate(point.y),
        }
        admin = server.sign_in("admin@salus.example")["access_token"]
        self.id = server.done(
            "POST",
            "/api/admin/clients",
            {"name": fresh("EHR"), "jwks": {"keys": [jwk]}, "scopes": [scope]},
            token=admin,
        )["id"]
        smart = server.done("GET", "/fhir/.well-known/smart-configuration")
        self.token_url = smart["token_endpoint"]

    def ask(self, key=None):
        """Asks for a token with an assertion, as backend services do."""
        now = int(time.time())
        assertion = jwt.encode(
            {
                "iss": self.id,
                "sub": self.id,
                "aud": self.token_url,
                "iat": now,
                "exp": now + 120,
                "jti": str(uuid.uuid4()),
            },
            key or self.key,
            algorithm="ES384",
            headers={"kid": "one"},
        )
        return self.server.session.post(
            self.token_url,
            data={
                "grant_type": "client_credentials",
                "scope": self.scope,
                "client_assertion_type": ASSERTION,
                "client_assertion": assertion,
            },
            timeout=30,
        )

    def client(self):
        answer = self.ask()
        if answer.status_code != 200:
            raise AssertionError(f"no token: {answer.text[:600]}")
        token = answer.json()["access_token"]
        return SyncFHIRClient(
            f"{self.server.url}/fhir", authorization=f"Bearer {token}"
        )


class Record(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = salus_server.shared()
        cls.server.walked
        cls.partner = Partner(cls.server, "system/*.read")
        cls.fhir = cls.partner.client()
        cls.found = {
            kind: cls.fhir.resources(kind).limit(5).fetch_all()
            for kind in KINDS
        }

    def conforms(self, resource):
        """Nobody finds anything wrong with it."""
        issues = [str(issue) for issue in fhirkit.validate(resource)]
        self.assertEqual(issues, [], resource.get("id"))

    def test_every_resource_is_found_through_its_pages(self):
        # Eighteen people walk, which is more than one page of five.
        self.assertGreater(len(self.found["Patient"]), 5)
        for kind, found in self.found.items():
            ids = {resource.id for resource in found}
            self.assertTrue(ids, kind)
            self.assertEqual(len(ids), len(found), kind)
            self.assertEqual(
                self.fhir.resources(kind).count(), len(found), kind
            )

    def test_every_resource_parses_and_validates(self):
        for kind, model in KINDS.items():
            for resource in self.found[kind]:
                resource = resource.serialize()
                self.conforms(resource)
                parsed = model.model_validate(resource)
                self.assertEqual(parsed.id, resource["id"])

    def test_a_resource_is_read_by_its_id(self):
        for kind, found in self.found.items():
            read = self.fhir.reference(kind, found[0].id).to_resource()
            self.assertEqual(read.serialize(), found[0].serialize())

    def test_a_response_reads_the_same_in_both_ways(self):
        staff = self.server.sign_in("super.admin@salus.example")["access_token"]
        partner = self.partner.ask().json()["access_token"]
        for response in self.found["QuestionnaireResponse"]:
            path = f"QuestionnaireResponse/{response.id}"
            record = self.server.call("GET", f"/fhir/{path}", token=partner)
            path = f"/api/forms/responses/{response.id}/questionnaire-response"
            intake = self.server.call("GET", path, token=staff)
            # The record alone has versions.
            meta = r'"meta":\{[^{}]*\},'
            self.assertRegex(record.text, meta)
            # Each links to photos where its own tokens open them.
            shared = re.sub(meta, "", record.text)
            shared = shared.replace('"url":"Binary/', '"url":"/api/photos/')
            self.assertEqual(shared, intake.text)

    def test_a_search_by_patient_gives_that_patients(self):
        kinds = [kind for kind in KINDS if kind != "Patient"]
        whole = min(
            set.intersection(
                *(
                    {found.subject.id for found in self.found[kind]}
                    for kind in kinds
                )
            )
        )
        for kind in kinds:
            found = self.fhir.resources(kind).search(patient=whole).fetch()
            expected = [
                resource.id
                for resource in self.found[kind]
                if resource.subject.id == whole
            ]
            self.assertEqual(
                sorted(resource.id for resource in found),
                sorted(expected),
                kind,
            )
            patient = found[0].subject.to_resource()
            self.assertEqual(
                (patient.resource_type, patient.id), ("Patient", whole)
            )

    def test_a_search_by_id_gives_one(self):
        one = self.found["Patient"][0]
        found = self.fhir.resources("Patient").search(_id=one.id).get()
        self.assertEqual(found.serialize(), one.serialize())

    def test_a_page_is_a_bundle(self):
        for kind in KINDS:
            bundle = self.fhir.resources(kind).limit(2).fetch_raw()
            self.assertEqual(bundle.type, "searchset")
            self.conforms(bundle)
            self.assertEqual(Bundle.model_validate(bundle).total, bundle.total)

    def test_the_capability_statement_says_what_is_served(self):
        statement = self.fhir.execute("metadata", method="get")
        self.conforms(statement)
        CapabilityStatement.model_validate(statement)
        served = {entry.type for entry in statement.rest[0].resource}
        self.assertLessEqual(set(KINDS), served)

    def test_a_photo_is_read_where_its_response_links_to_it(self):
        links = [
            value["url"]
            for found in self.found["QuestionnaireResponse"]
            for value in attachments(found.serialize())
        ]
        self.assertTrue(links)
        for link in links:
            binary = self.fhir.execute(link, method="get")
            self.conforms(binary)
            parsed = Binary.model_validate(binary)
            self.assertTrue(parsed.contentType.startswith("image/"))
            native = self.server.session.get(
                f"{self.server.url}/fhir/{link}",
                headers={"Authorization": self.fhir.authorization},
                timeout=30,
            )
            self.assertEqual(
                native.headers["content-type"], parsed.contentType
            )
            self.assertEqual(native.content, base64.b64decode(binary["data"]))

    def test_a_search_that_is_not_understood_is_refused(self):
        for strange in [{"name": "x"}, {"identifier:not": "x"}]:
            with self.assertRaises(BaseFHIRError):
                self.fhir.resources("Patient").search(**strange).fetch()

    def test_a_date_of_the_client_is_a_date(self):
        everybody = self.fhir.resources("Patient").search(
            _lastUpdated__ge="2020-01-01T00:00"
        )
        self.assertEqual(everybody.count(), len(self.found["Patient"]))

    def test_the_demos_bundle_parses_and_validates(self):
        text = (self.server.walked / "fhir-bundle.json").read_bytes()
        self.assertEqual([str(issue) for issue in fhirkit.validate(text)], [])
        self.assertGreater(len(Bundle.model_validate_json(text).entry), 3)


class Access(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = salus_server.shared()

    def test_without_a_token_nothing_is_read(self):
        stranger = SyncFHIRClient(f"{self.server.url}/fhir")
        with self.assertRaises(AuthorizationError) as caught:
            stranger.resources("Patient").fetch()
        OperationOutcome.model_validate_json(str(caught.exception))

    def test_a_scope_opens_only_what_it_names(self):
        fhir = Partner(self.server, "system/Encounter.read").client()
        fhir.resources("Encounter").fetch()
        with self.assertRaises(ForbiddenError):
            fhir.resources("Patient").fetch()

    def test_what_is_not_there_is_not_found(self):
        fhir = Partner(self.server, "system/*.read").client()
        with self.assertRaises(ResourceNotFound) as caught:
            fhir.get("Patient", str(uuid.uuid4()))
        OperationOutcome.model_validate_json(str(caught.exception))

    def test_another_key_gets_no_token(self):
        partner = Partner(self.server, "system/*.read")
        refused = partner.ask(ec.generate_private_key(ec.SECP384R1()))
        self.assertIn(refused.status_code, [400, 401])
        self.assertEqual(refused.json()["error"], "invalid_client")
