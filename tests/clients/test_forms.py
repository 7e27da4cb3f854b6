"""LHC-Forms, the form filler of the National Library of Medicine, is given our
questionnaires and asks what the server asks, whatever is answered."""

import functools
import json
import os
import subprocess
import unittest
import uuid
from datetime import date, timedelta
from pathlib import Path
from urllib.parse import quote

import fhirkit
from fhir.resources.R4B.questionnaire import Questionnaire

import salus_server
from salus_server import eventually, fresh

HERE = Path(__file__).resolve().parent
OURS = "https://salus.health/fhir/StructureDefinition/"
SDC = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-"
UCUM = "http://unitsofmeasure.org"
LOINC = "http://loinc.org"
PASSWORD = "correct-horse-battery-9"


@functools.cache
def server():
    """One of its own, for a form is added to it."""
    return salus_server.Server()


def patient(sex, birth_date):
    """Somebody who may fill in forms; gives the token."""
    email = f"{fresh(sex)}@patients.example"
    credentials = {"email": email, "password": PASSWORD}
    server().done("POST", "/api/auth/register", credentials)

    def mailed():
        mails = server().control("smtp", "GET", f"/messages?to={quote(email)}")
        texts = [mail["text"] for mail in mails if "?token=" in mail["text"]]
        return texts and texts[0].split("?token=")[1].split()[0]

    token = eventually("the verification mail", mailed)
    server().done("POST", "/api/auth/verify-email", {"token": token})
    token = server().sign_in(email, PASSWORD)["access_token"]
    profile = {
        "name": {"given": "Ada", "family": "Byron"},
        "birth_date": birth_date,
        "sex": sex,
        "address": {
            "line1": "1 Main Street",
            "city": "Cambridge",
            "state": "MA",
            "postal_code": "02139",
        },
        "phone": "+16175550123",
        "time_zone": "America/New_York",
    }
    server().done("PUT", "/api/profile", profile, token=token)
    return token


def lhc_forms(questionnaire, cases):
    """What LHC-Forms makes of each case."""
    run = subprocess.run(
        ["node", str(HERE / "lhc_forms.mjs"), os.environ["SALUS_NODE_CLIENTS"]],
        input=json.dumps({"questionnaire": questionnaire, "cases": cases}),
        capture_output=True,
        text=True,
        timeout=600,
    )
    if run.returncode != 0:
        raise AssertionError(f"LHC-Forms failed: {run.stderr[-2000:]}")
    return json.loads(run.stdout)


def walk(items):
    """Every item that is not part of a repetition."""
    for item in items:
        yield item
        if item.get("type") != "repeating_group":
            yield from walk(item.get("items", []))


def elements(parent):
    """The same of a Questionnaire, with the link ids above each."""

    def below(parent, above):
        for element in parent.get("item", []):
            yield element, above
            if not (element["type"] == "group" and element.get("repeats")):
                yield from below(element, above | {element["linkId"]})

    yield from below(parent, frozenset())


def candidates(item, compared):
    """Answers of a question on every side of what conditions compare with."""
    kind = item["type"]
    if item.get("read_only") or item.get("hidden"):
        return []
    if kind == "boolean":
        return [False, True]
    if kind == "single_choice":
        return [option["code"] for option in item["options"]]
    if kind == "multiple_choice":
        codes = [[option["code"]] for option in item["options"]]
        several = [o["code"] for o in item["options"] if not o["exclusive"]]
        return codes + [several]
    if kind in ("number", "scale"):
        numbers = sorted(
            {n + d for n in compared if not isinstance(n, bool) for d in (-1, 0, 1)}
        )
        numbers = numbers or [item.get("minimum", 1), item.get("maximum", 9)]
        units = item.get("units") or []
        if units:
            return [{"value": number, "unit": units[0]} for number in numbers]
        return [int(n) if n == int(n) else n for n in numbers]
    if kind == "date":
        days = [date.fromisoformat(d) for d in compared if isinstance(d, str)]
        days = days or [date(2024, 5, 1)]
        return [str(d + timedelta(n)) for d in days for n in (-1, 0, 1)]
    if kind == "text":
        words = [w for w in compared if isinstance(w, str)] + ["other"]
        return [[word] for word in words] if item.get("repeats") else words
    if kind == "photo":
        return [[str(uuid.uuid4())]]
    return []


def cases_of(form):
    """Each answer of each question, among the first and the last answers of
    all the others, so that every branch is come by."""
    items = list(walk(form["items"]))
    compared = {}
    for item in items:
        for condition in item.get("enable_when", []):
            named = compared.setdefault(condition["question"], [])
            named.append(condition["answer"])
    answers = {
        item["link_id"]: candidates(item, compared.get(item["link_id"], []))
        for item in items
    }
    answers = {link_id: each for link_id, each in answers.items() if each}
    first = {link_id: each[0] for link_id, each in answers.items()}
    last = {link_id: each[-1] for link_id, each in answers.items()}
    cases = [{}]
    for others in (first, last):
        cases.append(others)
        cases += [
            {**others, link_id: answer}
            for link_id, each in answers.items()
            for answer in each
        ]
    unique = {json.dumps(case, sort_keys=True): case for case in cases}
    return list(unique.values())


def entered(form, case):
    """A case as a person enters it, choices by their place in the list."""
    items = {item["link_id"]: item for item in walk(form["items"])}

    def enter(item, answer):
        if item["type"] in ("single_choice", "multiple_choice"):
            codes = [option["code"] for option in item["options"]]
            chosen = answer if isinstance(answer, list) else [answer]
            return {"options": [codes.index(code) for code in chosen]}
        if item["type"] == "photo":
            return {"value": {"url": answer[0]}}
        if isinstance(answer, dict):
            return answer
        return {"value": answer[0] if isinstance(answer, list) else answer}

    return {name: enter(items[name], answer) for name, answer in case.items()}


def by_profile(questionnaire):
    """The items that hang on what the profile says, which no other filler
    knows: it asks them of everybody."""
    found = set()
    while True:
        before = len(found)
        for element, above in elements(questionnaire):
            asks = {w["question"] for w in element.get("enableWhen", [])}
            whole = any(
                extension["url"] == f"{OURS}enable-when"
                for extension in element.get("extension", [])
            )
            if whole or asks & found or above & found:
                found.add(element["linkId"])
        if len(found) == before:
            return found


class Filler(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.patients = [patient("female", "1994-03-01"), patient("male", "1950-03-01")]
        cls.admin = server().sign_in("admin@salus.example")["access_token"]

    def drafted(self, category, case, token, version):
        """What the server enables and calculates."""
        path = f"/api/forms/drafts/{category}"
        body = {"version": version, "answers": case}
        return server().done("PUT", path, body, token=token)

    def compare(self, category, but=()):
        """Gives the form, after both sides have agreed on all of its cases;
        `but` names items that LHC-Forms itself does not get right."""
        form = server().done("GET", f"/api/forms/categories/{category}")
        path = f"/api/forms/versions/{form['id']}/questionnaire"
        questionnaire = server().done("GET", path)
        issues = [str(issue) for issue in fhirkit.validate(questionnaire)]
        self.assertEqual(issues, [])
        Questionnaire.model_validate(questionnaire)
        cases = cases_of(form)
        asked = lhc_forms(questionnaire, [entered(form, case) for case in cases])
        items = {item["link_id"] for item in walk(form["items"])}
        profile = by_profile(questionnaire)
        plain = items - profile - set(but)
        shown, hidden = set(), set()
        for token in self.patients:
            version = None
            for case, theirs in zip(cases, asked):
                ours = self.drafted(category, case, token, version)
                version = ours["version"]
                enabled, others = set(ours["enabled"]), set(theirs["enabled"])
                self.assertEqual(enabled & plain, others & plain, case)
                # Nobody is left unasked.
                self.assertLessEqual(enabled & profile, others, case)
                shown |= enabled
                hidden |= items - enabled
                for link_id, score in ours["scores"].items():
                    if link_id in theirs["calculated"]:
                        calculated = theirs["calculated"][link_id]
                        self.assertEqual(score["value"], calculated, case)
        conditional = {
            item["link_id"] for item in walk(form["items"]) if item.get("enable_when")
        }
        self.assertEqual(items - shown, set(), "asked in no case")
        self.assertEqual(conditional - hidden, set(), "asked in every case")
        return form, questionnaire

    def test_every_form_of_the_demo_asks_the_same(self):
        categories = server().done("GET", "/api/categories")["categories"]
        categories = [
            category
            for category in categories
            if not category["slug"].startswith("every-kind")
        ]
        self.assertEqual(len(categories), 6)
        for category in categories:
            with self.subTest(category["slug"]):
                self.compare(category["id"])

    def test_a_form_with_every_kind_of_item_asks_the_same(self):
        category = every_kind_category(self.admin)
        # LHC-Forms compares no dates; it only sees whether there is one.
        form, questionnaire = self.compare(category, but=["after_day"])
        asked = {
            element["linkId"]: element["enableWhen"][0]
            for element, _ in elements(questionnaire)
            if "enableWhen" in element
        }
        unit = {"unit": "kg", "system": UCUM, "code": "kg"}
        self.assertEqual(asked["after_weight"]["answerQuantity"], {"value": 100, **unit})
        self.assertEqual(asked["after_day"]["answerDate"], "2024-05-01")
        self.assertEqual(asked["after_count"]["answerInteger"], 3)
        self.assertEqual(asked["after_share"]["answerDecimal"], 2.5)
        self.assertEqual(asked["after_scale"]["answerInteger"], 5)
        self.assertEqual(
            asked["after_often"]["answerCoding"],
            {"system": LOINC, "code": "LA6571-9", "display": "Nearly every day"},
        )
        again = server().done(
            "POST",
            "/api/admin/forms/questionnaires",
            {"category_id": category, "slug": "x-y", "questionnaire": questionnaire},
            token=self.admin,
        )
        self.assertEqual(again["warnings"], [])
        self.assertEqual(again["form"]["items"], form["items"])


    def submitted(self, answers):
        """Submits answers that are written in JSON."""
        category = every_kind_category(self.admin)
        form = server().done("GET", f"/api/forms/categories/{category}")
        body = (
            f'{{"category_id": "{category}", "form_version_id": "{form["id"]}",'
            f' "answers": {answers}}}'
        )
        return server().call(
            "POST",
            "/api/forms/submit",
            token=self.patients[0],
            key=fresh("submit"),
            data=body,
            headers={"Content-Type": "application/json"},
        )

    def test_numbers_keep_the_digits_that_were_written(self):
        weight = '{"value": 154.320, "unit": "[lb_av]"}'
        taken = self.submitted(f'{{"count": 70, "share": 70.50, "weight": {weight}}}')
        self.assertEqual(taken.status_code, 201, taken.text)
        self.assertIn('"share":70.50', taken.text)
        path = f"/api/forms/responses/{taken.json()['id']}"
        read = server().call("GET", path, token=self.patients[0]).text
        self.assertIn('"share":70.50', read)
        self.assertIn('"value":154.320', read)
        path += "/questionnaire-response"
        read = server().call("GET", path, token=self.patients[0]).text
        self.assertIn('"valueInteger":70}', read)
        self.assertIn('"valueDecimal":70.50}', read)
        self.assertIn('"value":154.320', read)

    def test_a_number_that_is_in_doubt_is_refused(self):
        for answers, path in [
            ('{"weight": 70}', "answers.weight"),
            ('{"weight": {"value": 70}}', "answers.weight"),
            ('{"count": 2147483648}', "answers.count"),
            ('{"share": 1e40}', "answers.share"),
        ]:
            refused = self.submitted(answers)
            self.assertEqual(refused.status_code, 422, answers)
            paths = {error["path"] for error in refused.json()["errors"]}
            self.assertEqual(paths, {path})


@functools.cache
def every_kind_category(admin):
    """A category whose form has every kind of item."""
    category = server().done(
        "POST",
        "/api/admin/categories",
        {
            "slug": fresh("every-kind"),
            "name": fresh("Every kind"),
            "description": "A form with every kind of item.",
            "active": True,
            "required_modality": "asynchronous",
            "minimum_age": 18,
        },
        token=admin,
    )["id"]
    form = {
        "category_id": category,
        "slug": fresh("every-kind"),
        "title": "Every kind",
        "items": every_kind(),
    }
    made = server().done("POST", "/api/admin/forms", form, token=admin)
    path = f"/api/admin/forms/{made['id']}/publish"
    server().done("POST", path, token=admin)
    return category


def every_kind():
    def item(link_id, kind, **more):
        return {"link_id": link_id, "type": kind, "text": f"{link_id}?", **more}

    def after(question, operator, answer, **more):
        condition = {"question": question, "operator": operator, "answer": answer}
        return item(f"after_{question}", "boolean", enable_when=[condition], **more)

    loinc = ["LA6568-5", "LA6569-3", "LA6570-1", "LA6571-9"]
    words = ["Not at all", "Several days", "More than half the days", "Nearly every day"]
    often = [
        {
            "code": str(score),
            "display": word,
            "score": score,
            "coding": {"system": LOINC, "code": code, "display": word},
        }
        for score, (code, word) in enumerate(zip(loinc, words))
    ]
    choices = [{"code": c, "display": c.title()} for c in ("red", "green")]
    choices.append({"code": "none", "display": "None", "exclusive": True})
    both = [
        {"question": "yes", "operator": "=", "answer": True},
        {"question": "many", "operator": "=", "answer": "red"},
    ]
    return [
        item("yes", "boolean", items=[item("below", "text"), after("below", "exists", True)]),
        after("yes", "!=", True),
        item("words", "text"),
        after("words", "=", "why"),
        item("list", "text", repeats=True),
        after("list", "exists", True),
        item("count", "number", integer=True, minimum=0, maximum=100),
        after("count", ">=", 3),
        item("share", "number"),
        after("share", ">", 2.5),
        item("height", "number", units=["cm", "[in_i]"], minimum=50, maximum=250),
        item("weight", "number", units=["kg", "[lb_av]"], minimum=20, maximum=400),
        after("weight", ">=", 100),
        item("day", "date"),
        after("day", ">", "2024-05-01"),
        item("any_day", "boolean", enable_when=[
            {"question": "day", "operator": "exists", "answer": True},
        ]),
        item("often", "single_choice", options=often),
        after("often", "=", "3"),
        item("many", "multiple_choice", options=choices),
        after("many", "!=", "none"),
        item("scale", "scale", minimum=0, maximum=10),
        after("scale", "<", 5),
        item("agree", "boolean", consent={"document": "telehealth", "version": "1"}),
        item("photo", "photo"),
        after("photo", "exists", True),
        item("all", "group", enable_behavior="all", enable_when=both, items=[
            item("shown", "display"),
        ]),
        item("any", "group", enable_behavior="any", enable_when=both, items=[
            item("told", "display"),
        ]),
        item("rows", "repeating_group", maximum=3, items=[item("what", "text")]),
        item("sum", "calculated", calculation={
            "method": "sum", "inputs": ["often", "scale"],
        }),
        after("sum", ">", 4),
        item("index", "calculated", calculation={
            "method": "body_mass_index", "inputs": ["height", "weight"],
        }),
        after("index", ">=", 25),
        item("kept", "text", hidden=True, initial="web"),
        item("fixed", "number", integer=True, read_only=True, initial=7),
        item("after_both", "boolean", enable_behavior="all", enable_when=[
            {"question": "yes", "operator": "=", "answer": True},
            {"question": "kept", "operator": "=", "answer": "web"},
            {"question": "fixed", "operator": ">", "answer": 6},
        ]),
        item("woman", "boolean", enable_when=[
            {"question": "patient.sex", "operator": "!=", "answer": "male"},
            {"question": "yes", "operator": "=", "answer": True},
        ]),
    ]
