"""Stripe's official library against the emulator and our endpoint."""

import http.server
import json
import queue
import threading
import time
import unittest

import stripe

import salus_server
from salus_server import STRIPE_KEY, STRIPE_WEBHOOK_SECRET, fresh


class Sink(http.server.ThreadingHTTPServer):
    """An endpoint of ours that keeps what is delivered to it."""

    def __init__(self):
        self.deliveries = queue.Queue()
        super().__init__(("127.0.0.1", 0), Sink.Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/hook"

    def close(self):
        self.shutdown()
        self.server_close()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            signature = self.headers["Stripe-Signature"]
            self.server.deliveries.put((body, signature))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_arguments):
            pass


def client(key=STRIPE_KEY):
    return stripe.StripeClient(
        key,
        base_addresses={"api": salus_server.shared().emulator("stripe")},
        max_network_retries=0,
    ).v1


def pay(api, customer, method="pm_card_visa", **more):
    """An off-session payment, as a renewal is one."""
    method = api.payment_methods.attach(method, {"customer": customer.id})
    return api.payment_intents.create(
        {
            "amount": 2900,
            "currency": "usd",
            "customer": customer.id,
            "payment_method": method.id,
            "off_session": True,
            "confirm": True,
        },
        **more,
    )


class Emulator(unittest.TestCase):
    """The official client drives it."""

    @classmethod
    def setUpClass(cls):
        cls.api = client()

    def customer(self):
        return self.api.customers.create(
            {
                "email": f"{fresh('ada')}@patients.example",
                "metadata": {"run": "1"},
            }
        )

    def test_a_card_is_saved_by_a_setup_intent(self):
        customer = self.customer()
        intent = self.api.setup_intents.create(
            {
                "customer": customer.id,
                "payment_method": "pm_card_visa",
                "usage": "off_session",
                "confirm": True,
            }
        )
        self.assertEqual(intent.status, "succeeded")
        saved = self.api.payment_methods.list({"customer": customer.id})
        self.assertEqual(
            [
                (method.id, method.card.last4)
                for method in saved.auto_paging_iter()
            ],
            [(intent.payment_method, "4242")],
        )

    def test_a_payment_is_taken_and_given_back(self):
        intent = pay(self.api, self.customer())
        self.assertEqual(
            (intent.status, intent.amount_received), ("succeeded", 2900)
        )
        charge = self.api.charges.retrieve(intent.latest_charge)
        self.assertTrue(charge.paid)
        partly = self.api.refunds.create(
            {"payment_intent": intent.id, "amount": 900}
        )
        self.assertEqual((partly.status, partly.amount), ("succeeded", 900))
        rest = self.api.refunds.create({"charge": charge.id})
        self.assertEqual(rest.amount, 2000)
        with self.assertRaises(stripe.InvalidRequestError):
            self.api.refunds.create({"charge": charge.id})

    def test_a_declined_card_is_a_card_error(self):
        customer = self.customer()
        with self.assertRaises(stripe.CardError) as caught:
            pay(self.api, customer, "pm_card_chargeCustomerFail")
        self.assertEqual(caught.exception.code, "card_declined")
        failed = caught.exception.error.payment_intent
        self.assertEqual(failed.status, "requires_payment_method")

    def test_an_idempotency_key_pays_once(self):
        customer = self.customer()
        method = self.api.payment_methods.attach(
            "pm_card_visa", {"customer": customer.id}
        )
        order = {
            "amount": 2900,
            "currency": "usd",
            "customer": customer.id,
            "payment_method": method.id,
            "confirm": True,
        }
        options = {"idempotency_key": fresh("key")}
        first = self.api.payment_intents.create(order, options)
        second = self.api.payment_intents.create(order, options)
        self.assertEqual(first.id, second.id)
        with self.assertRaises(stripe.IdempotencyError):
            self.api.payment_intents.create({**order, "amount": 1}, options)
        paid = self.api.payment_intents.list({"customer": customer.id})
        self.assertEqual([intent.id for intent in paid.data], [first.id])

    def test_pages_follow_one_another(self):
        customer = self.customer()
        made = {pay(self.api, customer).id for _ in range(3)}
        pages = self.api.payment_intents.list(
            {"customer": customer.id, "limit": 1}
        )
        self.assertEqual(
            {intent.id for intent in pages.auto_paging_iter()}, made
        )

    def test_what_is_not_there_and_a_wrong_key_are_refused(self):
        with self.assertRaises(stripe.InvalidRequestError) as caught:
            self.api.customers.retrieve("cus_nobody")
        self.assertEqual(caught.exception.code, "resource_missing")
        with self.assertRaises(stripe.AuthenticationError):
            client("sk_test_of_somebody_else").customers.list()


class Payments(unittest.TestCase):
    """What Salus did with its own adapter, as the official client reads it."""

    def test_every_payment_of_the_demo_is_read_and_its_notice_verified(self):
        server = salus_server.shared()
        server.walked
        sink = Sink()
        self.addCleanup(sink.close)
        state = server.control("stripe", "GET", "/state")
        ours = [
            event
            for event in map(
                json.loads, (kept["body"] for kept in state["events"])
            )
            if event["type"] == "payment_intent.succeeded"
            and "invoice_id" in event["data"]["object"]["metadata"]
        ]
        self.assertTrue(ours)
        for event in ours:
            path = f"/events/{event['id']}/replay"
            server.control("stripe", "POST", path, {"url": sink.url})
            body, header = sink.deliveries.get(timeout=30)
            notice = stripe.Webhook.construct_event(
                body, header, STRIPE_WEBHOOK_SECRET
            )
            told = notice.data.object
            read = client().payment_intents.retrieve(told.id)
            self.assertEqual(read.status, "succeeded")
            self.assertEqual(read.amount_received, told.amount)
            self.assertEqual(
                read.metadata["invoice_id"], told.metadata["invoice_id"]
            )


class Signatures(unittest.TestCase):
    """What the emulator signs, as the official library sees it."""

    @classmethod
    def setUpClass(cls):
        cls.server = salus_server.shared()
        cls.sink = Sink()
        cls.addClassCleanup(cls.sink.close)
        cls.intent = pay(client(), client().customers.create())
        events = cls.server.control("stripe", "GET", "/state")["events"]
        bodies = [json.loads(event["body"]) for event in events]
        cls.event = next(
            body
            for body in bodies
            if body["type"] == "payment_intent.succeeded"
            and body["data"]["object"]["id"] == cls.intent.id
        )

    def delivered(self, **order):
        """The event as it arrives, signed as `order` asks for."""
        path = f"/events/{self.event['id']}/replay"
        order["url"] = self.sink.url
        self.server.control("stripe", "POST", path, order)
        return self.sink.deliveries.get(timeout=30)

    def test_a_delivery_is_accepted(self):
        body, header = self.delivered()
        event = stripe.Webhook.construct_event(
            body, header, STRIPE_WEBHOOK_SECRET
        )
        self.assertEqual(event.id, self.event["id"])
        self.assertEqual(event.data.object.id, self.intent.id)

    def test_another_secret_or_another_body_is_refused(self):
        body, header = self.delivered()
        for given, secret in [
            (body, "whsec_another"),
            (body.replace(b"2900", b"2901"), STRIPE_WEBHOOK_SECRET),
        ]:
            with self.assertRaises(stripe.SignatureVerificationError):
                stripe.Webhook.construct_event(given, header, secret)

    def test_a_forged_and_an_old_delivery_are_refused(self):
        for signature in ["bad", "old"]:
            body, header = self.delivered(signature=signature)
            with self.assertRaises(stripe.SignatureVerificationError):
                stripe.Webhook.construct_event(
                    body, header, STRIPE_WEBHOOK_SECRET
                )


class Endpoint(unittest.TestCase):
    """What the official library signs, as our endpoint sees it."""

    @classmethod
    def setUpClass(cls):
        cls.server = salus_server.shared()
        cls.intent = pay(client(), client().customers.create())

    def setUp(self):
        self.body = json.dumps(
            {
                "id": fresh("evt"),
                "object": "event",
                "type": "payment_intent.succeeded",
                "created": int(time.time()),
                "data": {
                    "object": {
                        "id": self.intent.id,
                        "object": "payment_intent",
                    }
                },
            }
        )

    def post(self, header, body=None):
        answer = self.server.session.post(
            f"{self.server.url}/webhooks/stripe",
            data=self.body if body is None else body,
            headers={
                "Content-Type": "application/json",
                **({"Stripe-Signature": header} if header else {}),
            },
            timeout=30,
        )
        return answer.status_code

    def signed(self, secret=STRIPE_WEBHOOK_SECRET, age=0):
        return stripe.WebhookSignature.generate_signature_header(
            self.body, secret, int(time.time()) - age
        )

    def test_a_signed_event_is_accepted_and_so_is_its_repetition(self):
        self.assertEqual(self.post(self.signed()), 200)
        self.assertEqual(self.post(self.signed()), 200)

    def test_a_second_signature_of_a_rotated_secret_is_accepted(self):
        old = stripe.WebhookSignature._compute_signature("0.", "whsec_rotated")
        time_stamp, signature = self.signed().split(",")
        self.assertEqual(self.post(f"{time_stamp},v1={old},{signature}"), 200)

    def test_wrong_missing_old_and_future_signatures_are_refused(self):
        for header in [
            self.signed("whsec_another"),
            None,
            "t=1,v1=00",
            self.signed(age=301),
            self.signed(age=-310),
        ]:
            with self.subTest(header=header):
                self.assertEqual(self.post(header), 400)

    def test_a_changed_body_is_refused(self):
        changed = self.body.replace("succeeded", "canceled")
        self.assertEqual(self.post(self.signed(), changed), 400)
