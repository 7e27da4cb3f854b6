use anyhow::{Context as _, bail};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    Walk, World,
    client::{eventually, text},
};

pub async fn subscribe(world: &mut World) -> anyhow::Result<()> {
    let mut walks = std::mem::take(&mut world.walks);
    let (mut paid, mut waiting) = (0, 0);
    for walk in walks.iter_mut().filter(|walk| walk.treated()) {
        subscribe_one(world, walk)
            .await
            .with_context(|| format!("the subscription of {}", walk.person.name()))?;
        match walk.subscription_id.is_empty() {
            true => waiting += 1,
            false => paid += 1,
        }
    }
    sells_nothing_else(world, &walks).await?;
    // Whoever was refused cannot buy the treatment after all.
    if let Some(refused) = walks.iter().find(|walk| walk.outcome == "refused") {
        let price = price(world, refused).await?;
        let answer = start(world, refused, &price, "refused").await?;
        if answer.status.is_success() {
            bail!("a refused patient could subscribe");
        }
    }
    let last =
        walks.iter().rfind(|walk| !walk.invoice_id.is_empty()).context("nobody subscribed")?;
    let pdf = world
        .client
        .get(format!("/api/invoices/{}/pdf", last.invoice_id))
        .token(&last.token)
        .send()
        .await?
        .expect(200, "downloading the invoice")?;
    if !pdf.bytes.starts_with(b"%PDF-") || pdf.content_type != "application/pdf" {
        bail!("the invoice is no PDF");
    }
    world.save("invoice.pdf", &pdf.bytes)?;
    world.report.detail(&format!(
        "{paid} subscriptions active, each paid once; {waiting} wait for a provider, uncharged; \
         invoice.pdf has {} bytes",
        pdf.bytes.len()
    ));
    world.walks = walks;
    Ok(())
}

/// What the plan promises is open, and what it does not have is not.
async fn opens_its_features(world: &World, walk: &Walk) -> anyhow::Result<()> {
    let path = format!("/api/subscriptions/{}/features", walk.subscription_id);
    let features = world.get(path, &walk.token).await?;
    let feature = text(&features, "/features/0/code")?;
    let access = world
        .client
        .post("/api/auth/validate-access", json!({ "feature": feature }))
        .token(&walk.token)
        .send()
        .await?
        .expect(200, "asking for access")?
        .json()?;
    if access["allowed"] != true || access["subscription_id"] != walk.subscription_id.as_str() {
        bail!("{feature} is not open to its subscriber: {access}");
    }
    Ok(())
}

/// The plans of the category that anybody can see.
async fn plans(world: &World, walk: &Walk) -> anyhow::Result<Vec<Value>> {
    let path = format!("/api/plans?category_id={}", walk.category_id);
    let plans = world.client.get(path).send().await?.expect(200, "listing plans")?.json()?;
    Ok(plans["plans"].as_array().cloned().unwrap_or_default())
}

/// The dearest monthly price of the category.
async fn price(world: &World, walk: &Walk) -> anyhow::Result<Value> {
    plans(world, walk)
        .await?
        .iter()
        .flat_map(|plan| plan["prices"].as_array().into_iter().flatten())
        .filter(|price| price["interval"] == "monthly")
        .max_by_key(|price| price["amount"]["minor"].as_i64())
        .cloned()
        .context("the category has no monthly price")
}

/// The dearest monthly price of the plans that fit the treatment, as a checkout
/// shows them.
async fn fitting_price(world: &World, walk: &Walk) -> anyhow::Result<Value> {
    let path = format!("/api/plans/fitting?category_id={}", walk.category_id);
    let fitting = world.get(path, &walk.token).await?;
    fitting["plans"]
        .as_array()
        .into_iter()
        .flatten()
        .flat_map(|plan| plan["prices"].as_array().into_iter().flatten())
        .filter(|price| price["months"] == 1 && price["renews"] == true)
        .max_by_key(|price| price["amount"]["minor"].as_i64())
        .map(|price| json!({ "id": price["price_id"], "amount": price["amount"] }))
        .context("no plan fits the treatment")
}

/// The drug, the form and the dose that were prescribed are among those of the
/// plan that was bought.
async fn bought_what_is_dispensed(
    world: &World,
    walk: &Walk,
    subscription: &Value,
) -> anyhow::Result<()> {
    let plans = plans(world, walk).await?;
    let bought = plans
        .iter()
        .find(|plan| plan["id"] == subscription["plan_id"])
        .context("the plan that was bought is not on offer")?;
    let path = format!("/api/treatment-plans/{}", walk.patient_id);
    let treatments = world.get(path, &walk.token).await?;
    let treatment = treatments["plans"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|plan| plan["id"] == walk.plan_id.as_str())
        .map(|plan| plan["treatment"].clone())
        .context("the treatment plan is gone")?;
    let display = text(&treatment, "/medication/display")?;
    let covered = bought["treatments"].as_array().into_iter().flatten().any(|covered| {
        let name = covered["name"].as_str().unwrap_or_default();
        let of_dose = |dose: &Value| dose.as_f64() == treatment["dose"]["value"].as_f64();
        !name.is_empty()
            && display.split_whitespace().any(|word| word == name)
            && covered["doses"].as_array().is_some_and(|doses| doses.iter().any(of_dose))
    });
    if !covered {
        bail!("{} pays for something else than {display}", bought["name"]);
    }
    world.report.detail(&format!(
        "{:24} bought {} for {display}",
        walk.person.name(),
        bought["name"].as_str().unwrap_or_default()
    ));
    Ok(())
}

/// A plan of another drug is refused, whoever asks.
async fn sells_nothing_else(world: &World, walks: &[Walk]) -> anyhow::Result<()> {
    let mut refused = 0;
    for walk in walks.iter().filter(|walk| walk.treated()) {
        let fitting = world
            .get(format!("/api/plans/fitting?category_id={}", walk.category_id), &walk.token)
            .await?;
        let fits = |plan: &Value| {
            let mut all = fitting["plans"].as_array().into_iter().flatten();
            all.any(|one| one["plan_id"] == plan["id"])
        };
        for plan in plans(world, walk).await?.iter().filter(|plan| !fits(plan)) {
            let price = plan["prices"][0].clone();
            let word = format!("other-{}", text(plan, "/id")?);
            let answer = start(world, walk, &price, &word).await?;
            if answer.status.as_u16() != 409 {
                bail!("{} got {} for a plan of another drug", walk.person.name(), answer.status);
            }
            refused += 1;
        }
    }
    if refused == 0 {
        bail!("nobody tried a plan of another drug");
    }
    world.report.detail(&format!("{refused} purchases of another drug were refused"));
    Ok(())
}

async fn start(
    world: &World,
    walk: &Walk,
    price: &Value,
    word: &str,
) -> anyhow::Result<crate::client::Answer> {
    let body = json!({
        "price_id": price["id"],
        "consent": { "accepted": true, "terms_version": "2026-01", "amount": price["amount"] },
    });
    world
        .client
        .post("/api/subscriptions", body)
        .token(&walk.token)
        .key(world.key(word, &walk.email))
        .send()
        .await
}

/// Something on the record speaks against the treatment, so a provider looks
/// before anything is charged.
async fn pays_nothing(world: &World, walk: &Walk) -> anyhow::Result<()> {
    let path = format!("/api/invoices/history/{}", walk.patient_id);
    let history = world.get(path, &walk.token).await?;
    if history["invoices"].as_array().is_none_or(|invoices| !invoices.is_empty()) {
        bail!("a stopped treatment was billed: {history}");
    }
    world.report.detail(&format!(
        "{:24} buys nothing until a provider has looked at the record",
        walk.person.name()
    ));
    Ok(())
}

async fn subscribe_one(world: &World, walk: &mut Walk) -> anyhow::Result<()> {
    let card = world
        .client
        .post("/api/payment-methods", json!({ "payment_method": "pm_card_visa" }))
        .token(&walk.token)
        .key(world.key("card", &walk.email))
        .send()
        .await?
        .done("adding a card")?
        .json()?;
    if card["last4"] != "4242" {
        bail!("the card came back another: {card}");
    }
    let price = fitting_price(world, walk).await?;
    let answer = start(world, walk, &price, "subscribe").await?;
    if answer.status.as_u16() == 409 && answer.text().contains("treatment_stopped") {
        return pays_nothing(world, walk).await;
    }
    let subscription = answer.done("subscribing")?.json()?;
    walk.subscription_id = text(&subscription, "/id")?;

    let invoice = eventually("the invoice to be paid", || async {
        let history =
            world.get(format!("/api/invoices/history/{}", walk.patient_id), &walk.token).await?;
        let invoices = history["invoices"].as_array().cloned().unwrap_or_default();
        if invoices.len() > 1 {
            bail!("there are {} invoices for one period", invoices.len());
        }
        Ok(invoices.into_iter().find(|invoice| invoice["status"] == "paid"))
    })
    .await?;
    walk.invoice_id = text(&invoice, "/id")?;
    if invoice["total"] != price["amount"] || invoice["number"].is_null() {
        bail!("the invoice is not what was bought: {invoice}");
    }
    eventually("the subscription to be active", || async {
        let found =
            world.get(format!("/api/subscriptions/{}", walk.subscription_id), &walk.token).await?;
        Ok((found["status"] == "active").then_some(()))
    })
    .await?;
    opens_its_features(world, walk).await?;
    bought_what_is_dispensed(world, walk, &subscription).await?;
    let path = format!("/_control/charges?invoice_id={}", walk.invoice_id);
    let charges = world.client.emulator_call("stripe", Method::GET, &path, None).await?.json()?;
    match charges["charges"].as_array().map(Vec::len) {
        Some(1) => Ok(()),
        other => bail!("the card was charged {other:?} times for one invoice"),
    }
}
