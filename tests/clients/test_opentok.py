"""OpenTok's official library against the emulator, and against our tokens."""

import time
import unittest

import jwt
import opentok
import requests
from opentok.exceptions import ArchiveError, NotFoundError, RequestError

import salus_server
from salus_server import OPENTOK_KEY, OPENTOK_SECRET

ANOTHER_SECRET = "another-secret-that-is-long-enough"


def vendor(secret=OPENTOK_SECRET):
    url = salus_server.shared().emulator("opentok")
    return opentok.Client(OPENTOK_KEY, secret, api_url=url, timeout=30)


def claims(token):
    return jwt.decode(
        token,
        OPENTOK_SECRET,
        algorithms=["HS256"],
        issuer=OPENTOK_KEY,
        options={"require": ["iss", "iat", "exp"]},
    )


class Emulator(unittest.TestCase):
    """The official library drives it."""

    @classmethod
    def setUpClass(cls):
        cls.server = salus_server.shared()
        cls.vendor = vendor()

    def connect(self, session_id, token):
        url = f"{self.server.emulator('opentok')}/_control/connect"
        body = {"sessionId": session_id, "token": token}
        return requests.post(url, json=body, timeout=30)

    def session(self):
        return self.vendor.create_session(media_mode=opentok.MediaModes.routed)

    def test_both_forms_of_its_tokens_are_admitted(self):
        session = self.session()
        for use_jwt in [True, False]:
            token = self.vendor.generate_token(
                session.session_id,
                role=opentok.Roles.moderator,
                data="a=1&b=2",
                use_jwt=use_jwt,
            )
            self.assertEqual(token.startswith("T1=="), not use_jwt)
            admitted = self.connect(session.session_id, token)
            self.assertEqual(admitted.status_code, 200, admitted.text)
            connection = admitted.json()
            self.assertEqual(connection["role"], "moderator")
            self.assertEqual(connection["data"], "a=1&b=2")

    def test_tokens_of_another_secret_or_session_are_not(self):
        session, other = self.session(), self.session()
        for use_jwt in [True, False]:
            forged = vendor(ANOTHER_SECRET).generate_token(
                session.session_id, use_jwt=use_jwt
            )
            elsewhere = self.vendor.generate_token(
                other.session_id, use_jwt=use_jwt
            )
            for token in [forged, elsewhere]:
                refused = self.connect(session.session_id, token)
                self.assertEqual(refused.status_code, 403)

    def test_a_session_is_archived(self):
        session = self.session()
        with self.assertRaises(RequestError):
            self.vendor.start_archive(session.session_id)
        token = self.vendor.generate_token(session.session_id)
        self.connect(session.session_id, token)
        archive = self.vendor.start_archive(session.session_id, name="visit")
        self.assertEqual((archive.status, archive.name), ("started", "visit"))
        with self.assertRaises(ArchiveError):
            self.vendor.start_archive(session.session_id)
        self.assertEqual(archive.stop() or archive.status, "stopped")
        self.assertEqual(
            self.vendor.get_archive(archive.id).status, "available"
        )
        listed = self.vendor.list_archives(session_id=session.session_id)
        self.assertEqual([found.id for found in listed], [archive.id])
        self.vendor.delete_archive(archive.id)
        with self.assertRaises(NotFoundError):
            self.vendor.get_archive(archive.id)

    def test_a_wrong_secret_gets_no_session(self):
        with self.assertRaises(opentok.OpenTokException):
            vendor(ANOTHER_SECRET).create_session()


class Consultation(unittest.TestCase):
    """The token that Salus gave for the consultation of the demo."""

    @classmethod
    def setUpClass(cls):
        out = salus_server.shared().walked
        cls.token = (out / "opentok-token.txt").read_text()
        cls.claims = claims(cls.token)

    def test_it_verifies_under_the_projects_secret(self):
        self.assertEqual(jwt.get_unverified_header(self.token)["alg"], "HS256")
        with self.assertRaises(jwt.InvalidSignatureError):
            jwt.decode(self.token, ANOTHER_SECRET, algorithms=["HS256"])

    def test_it_claims_what_the_official_library_would(self):
        # The library refuses a session that is not of its project.
        theirs = claims(
            vendor().generate_token(
                self.claims["session_id"],
                role=opentok.Roles(self.claims["role"]),
                data=self.claims["connection_data"],
            )
        )
        self.assertLessEqual(theirs.keys(), self.claims.keys())
        for name in [
            "iss",
            "ist",
            "session_id",
            "role",
            "scope",
            "connection_data",
        ]:
            self.assertEqual(self.claims[name], theirs[name], name)

    def test_it_ends_with_the_meeting_and_names_nobody(self):
        life = self.claims["exp"] - self.claims["iat"]
        # It is joined 15 minutes early at most, for a slot of 15 minutes that
        # stays open for 30 more.
        self.assertLessEqual(life, 75 * 60)
        self.assertGreater(self.claims["exp"], time.time())
        self.assertNotIn("@", self.claims["connection_data"])
