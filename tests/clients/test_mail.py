"""aiosmtpd takes the mail in place of the emulator: over STARTTLS with an
authority of its own, after signing in, and with refusals that it is told."""

import datetime
import email
import email.policy
import ipaddress
import logging
import re
import socket
import ssl
import tempfile
import threading
import unittest
from pathlib import Path

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

import salus_server
from salus_server import eventually, fresh

USER, MAIL_PASSWORD = "salus", "a password: with, marks"
PATIENT_PASSWORD = "a-long-walk-to-the-mailbox"
BUSY = "451 4.2.0 Come back later"
NOBODY = "550 5.1.1 No such mailbox"

# It warns of its own use of what it is going to drop.
logging.getLogger("mail.log").setLevel(logging.ERROR)


class Authority:
    """A certificate authority and the certificate of 127.0.0.1."""

    def __init__(self, folder):
        self.file = folder / "ca.pem"
        self.chain, self.key = folder / "server.pem", folder / "server-key.pem"
        root_key = ec.generate_private_key(ec.SECP256R1())
        root = self.certificate("Mail authority", "Mail authority")
        root = root.public_key(root_key.public_key())
        root = root.add_extension(
            x509.BasicConstraints(True, None), critical=True
        )
        self.write(self.file, root.sign(root_key, hashes.SHA256()))
        key = ec.generate_private_key(ec.SECP256R1())
        names = [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        server = self.certificate("Mail server", "Mail authority")
        server = server.public_key(key.public_key())
        server = server.add_extension(
            x509.SubjectAlternativeName(names), False
        )
        self.write(self.chain, server.sign(root_key, hashes.SHA256()))
        self.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )

    @staticmethod
    def certificate(subject, issuer):
        now = datetime.datetime.now(datetime.timezone.utc)

        def name(text):
            return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

        return (
            x509.CertificateBuilder()
            .subject_name(name(subject))
            .issuer_name(name(issuer))
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
        )

    @staticmethod
    def write(path, certificate):
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def context(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.chain, self.key)
        return context


class Mailboxes:
    """What was asked of the mail server, and what it is to answer."""

    def __init__(self):
        self.lock = threading.Lock()
        self.at_recipient, self.at_data = {}, {}
        self.asked, self.offered, self.taken = [], [], []
        self.protected = []

    def authenticate(self, _server, _session, _envelope, _mechanism, given):
        good = (
            given.login == USER.encode()
            and given.password == MAIL_PASSWORD.encode()
        )
        return AuthResult(success=good)

    async def handle_RCPT(self, _server, session, envelope, address, _options):
        with self.lock:
            self.asked.append(address)
            self.protected.append(
                session.ssl is not None and session.authenticated
            )
            replies = self.at_recipient.get(address)
            if replies:
                return replies.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, _server, _session, envelope):
        mail = email.message_from_bytes(
            envelope.original_content, policy=email.policy.default
        )
        with self.lock:
            self.offered.append(mail)
            for address in envelope.rcpt_tos:
                replies = self.at_data.get(address)
                if replies:
                    return replies.pop(0)
            self.taken.append((envelope.mail_from, envelope.rcpt_tos, mail))
        return "250 2.0.0 Taken"

    def to(self, address):
        with self.lock:
            return [mail for _, to, mail in self.taken if to == [address]]

    def times_asked(self, address):
        with self.lock:
            return self.asked.count(address)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def setUpModule():
    global boxes, server
    boxes = Mailboxes()
    folder = tempfile.TemporaryDirectory(prefix="salus-clients-mail-")
    unittest.addModuleCleanup(folder.cleanup)
    authority = Authority(Path(folder.name))
    sink = Controller(
        boxes,
        hostname="127.0.0.1",
        port=free_port(),
        tls_context=authority.context(),
        require_starttls=True,
        authenticator=boxes.authenticate,
        auth_required=True,
    )
    sink.start()
    unittest.addModuleCleanup(sink.stop)
    server = salus_server.Server(
        SALUS_SMTP__HOST=sink.hostname,
        SALUS_SMTP__PORT=str(sink.port),
        SALUS_SMTP__SECURITY="starttls",
        SALUS_SMTP__CA_FILE=str(authority.file),
        SALUS_SMTP__USERNAME=USER,
        SALUS_SMTP__PASSWORD=MAIL_PASSWORD,
        SALUS_SMTP__FROM="Salus Care <care@salus.example>",
    )


class Mail(unittest.TestCase):
    def register(self):
        address = f"{fresh('ada')}@patients.example"
        self.register_as(address)
        return address

    def register_as(self, address):
        credentials = {"email": address, "password": PATIENT_PASSWORD}
        server.done("POST", "/api/auth/register", credentials)

    def arrived(self, address, count=1):
        def probe():
            mails = boxes.to(address)
            return mails if len(mails) >= count else None

        return eventually(f"mail {count} for {address}", probe)

    def sign_in_by(self, mail, address):
        text = mail.get_body(["plain"]).get_content()
        token = re.search(r"\?token=(\S+)", text).group(1)
        server.done("POST", "/api/auth/verify-email", {"token": token})
        return server.sign_in(address, PATIENT_PASSWORD)

    def test_the_registration_mail_arrives_and_signs_in(self):
        address = self.register()
        (mail,) = self.arrived(address)
        self.assertEqual(mail["To"].addresses[0].addr_spec, address)
        self.assertEqual(mail["From"].addresses[0].display_name, "Salus Care")
        self.assertEqual(mail["Auto-Submitted"], "auto-generated")
        self.assertIsNotNone(mail["Date"].datetime)
        self.assertRegex(mail["Message-ID"], r"^<\S+@\S+>$")
        self.assertFalse(mail.defects)
        html = mail.get_body(["html"]).get_content()
        self.assertIn("?token=", html)
        self.assertEqual(
            self.sign_in_by(mail, address)["token_type"].lower(), "bearer"
        )

    def test_every_mail_went_over_tls_by_the_signed_in_user(self):
        self.arrived(self.register())
        self.assertTrue(all(boxes.protected))
        self.assertEqual(
            {sender for sender, _, _ in boxes.taken}, {"care@salus.example"}
        )

    def test_a_recipient_who_is_busy_gets_the_mail_later(self):
        address = f"{fresh('busy')}@patients.example"
        boxes.at_recipient[address] = [BUSY]
        self.register_as(address)
        self.arrived(address)
        self.assertEqual(boxes.times_asked(address), 2)

    def test_a_mail_that_is_put_off_comes_again_as_the_same_mail(self):
        address = f"{fresh('later')}@patients.example"
        boxes.at_data[address] = ["451 4.3.0 Not now"]
        self.register_as(address)
        (mail,) = self.arrived(address)
        ids = [
            offered["Message-ID"]
            for offered in boxes.offered
            if offered["To"].addresses[0].addr_spec == address
        ]
        self.assertEqual(ids, [mail["Message-ID"]] * 2)

    def test_a_mailbox_that_is_gone_is_written_to_once(self):
        address = self.register()
        (mail,) = self.arrived(address)
        session = self.sign_in_by(mail, address)
        asked = boxes.times_asked(address)
        boxes.at_recipient[address] = [NOBODY] * 100
        forgot = {"email": address}
        server.done("POST", "/api/auth/forgot-password", forgot)
        refused = self.outcome(session["account_id"], "password_reset")
        self.assertEqual(refused["state"], "failed")
        self.assertEqual(boxes.times_asked(address), asked + 1)
        # The next mail for it is not even tried.
        self.register_as(address)
        dropped = self.outcome(session["account_id"], "account_exists")
        self.assertEqual(
            (dropped["state"], dropped["reason"]),
            ("dropped", "address_suppressed"),
        )
        self.assertEqual(boxes.times_asked(address), asked + 1)
        # And all others go on.
        self.arrived(self.register())

    def outcome(self, account, kind):
        """What became of a notification, as the audit log has it."""
        auditor = server.sign_in("auditor@salus.example")["access_token"]

        def probe():
            trail = server.done(
                "GET",
                "/api/admin/audit-logs?entity=notification&limit=200",
                token=auditor,
            )["items"]
            details = [
                (entry["entity_id"], entry["detail"] or {}) for entry in trail
            ]
            ours = {
                notification
                for notification, detail in details
                if detail.get("kind") == kind
                and detail.get("recipient") == account
            }
            settled = (
                detail
                for notification, detail in details
                if notification in ours and "state" in detail
            )
            return next(settled, None)

        return eventually(f"what became of {kind}", probe)
