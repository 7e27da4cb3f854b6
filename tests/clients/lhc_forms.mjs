// LHC-Forms under jsdom. Reads {"questionnaire": …, "cases": […]} from standard
// input; a case is a map of link ids to what a person enters. Writes for each
// case which items LHC-Forms has enabled and what it has calculated.

import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

// Where the packages stand, which is outside of the checkout.
const packages = createRequire(path.join(process.argv[2], "package.json"));
const { JSDOM, VirtualConsole } = packages("jsdom");
const dist = path.join(path.dirname(packages.resolve("lforms/package.json")), "dist/lforms");

const { window } = new JSDOM("<!doctype html><html><body></body></html>", {
  runScripts: "outside-only",
  url: "http://localhost/",
  virtualConsole: new VirtualConsole(),
});
for (const script of [
  "webcomponent/assets/lib/zone.min.js",
  "webcomponent/lhc-forms.js",
  "fhir/R4/lformsFHIR.min.js",
]) {
  window.eval(fs.readFileSync(path.join(dist, script), "utf8"));
}

function enter(item, entered) {
  if (entered.options) {
    const chosen = entered.options.map((index) => item.answers[index]);
    item.value = item._multipleAnswers ? chosen : chosen[0];
  } else if (entered.unit) {
    item.value = entered.value;
    item.unit = item.units.find((unit) => unit.code === entered.unit);
  } else {
    item.value = entered.value;
  }
}

const { questionnaire, cases } = JSON.parse(fs.readFileSync(0, "utf8"));
const { LForms } = window;
const results = [];
for (const entered of cases) {
  const form = new LForms.LFormsData(
    LForms.Util.convertFHIRQuestionnaireToLForms(structuredClone(questionnaire), "R4"),
  );
  for (const item of form.itemList) {
    if (Object.hasOwn(entered, item.linkId)) enter(item, entered[item.linkId]);
  }
  // Calculations enable what is asked, which may be calculated with again.
  for (let round = 0; round < 2; round += 1) {
    form._checkFormControls();
    if (form._hasResponsiveExpr) {
      form._expressionProcessor._regenerateQuestionnaireResp();
      await form._expressionProcessor.runCalculations(false);
    }
  }
  form._checkFormControls();
  const enabled = form.itemList.filter((item) => item._skipLogicStatus !== "target-disabled");
  const calculated = form.itemList.filter((item) => item._exprExtensions && item.value != null);
  results.push({
    enabled: enabled.map((item) => item.linkId),
    calculated: Object.fromEntries(calculated.map((item) => [item.linkId, item.value])),
  });
}
fs.writeSync(1, JSON.stringify(results));
process.exit(0);
